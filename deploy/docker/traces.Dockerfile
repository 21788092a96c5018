# The collector of traces of development: OTLP/JSON on 4318. It needs nothing but Python.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shop \
    && install -d -o 10001 -g 10001 /traces
COPY deploy/traces /app/traces
RUN python -m compileall -q /app
WORKDIR /app
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 TZ=UTC \
    TRACES_HOST=0.0.0.0 TRACES_PORT=4318 TRACES_FILE=/traces/traces.sqlite3
USER 10001:10001
EXPOSE 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-I", "-S", "-c", "import socket; socket.create_connection(('127.0.0.1', 4318), 3).close()"]
ENTRYPOINT ["python", "-m", "traces"]
ARG VERSION=dev
LABEL org.opencontainers.image.title="traces" \
      org.opencontainers.image.description="The collector of traces of the shop's development stack" \
      org.opencontainers.image.version="${VERSION}"
