# The mail catcher of development: SMTP on 1025, its page on 8025.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS builder
COPY requirements.lock /build/
# Its own three libraries, as pinned for the whole tree.
RUN awk '/^[a-z0-9]/ {found = /^(aiosmtpd|atpublic|attrs)==/} found' /build/requirements.lock > /build/mail.lock \
    && python -m venv /build/tools && python -m venv --without-pip /venv \
    && /build/tools/bin/pip --disable-pip-version-check --python /venv/bin/python install --quiet --no-cache-dir --require-hashes --no-deps --compile -r /build/mail.lock
COPY deploy/mail /app/mail
RUN python -m compileall -q /app

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shop \
    && install -d -o 10001 -g 10001 /mail
COPY --from=builder /venv /venv
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 TZ=UTC \
    MAIL_HOST=0.0.0.0 MAIL_SMTP_PORT=1025 MAIL_WEB_PORT=8025 MAIL_FOLDER=/mail
USER 10001:10001
EXPOSE 1025 8025
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-I", "-S", "-c", "import socket; [socket.create_connection(('127.0.0.1', port), 3).close() for port in (1025, 8025)]"]
ENTRYPOINT ["python", "-m", "mail"]
ARG VERSION=dev
LABEL org.opencontainers.image.title="mail" \
      org.opencontainers.image.description="The mail catcher of the shop's development stack" \
      org.opencontainers.image.version="${VERSION}"
