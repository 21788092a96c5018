# One recipe for every service: docker build -f deploy/docker/service.Dockerfile --build-arg SERVICE=svc-orders .
# The same image runs each of its processes: web (the default), events, worker, beat; and `manage.py` by another entrypoint.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS builder
ARG SERVICE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/var/cache/pip
RUN apt-get -q update >/dev/null && apt-get -q install --yes --no-install-recommends binutils >/dev/null && rm -rf /var/lib/apt/lists/*
# What only builds shared-lib's wheel stays out of the folder that the result gets.
COPY deploy/docker/build.lock /build/
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv /build/tools && python -m venv --without-pip /venv \
    && /build/tools/bin/pip install --quiet --require-hashes --no-deps -r /build/build.lock
COPY ${SERVICE}/requirements.lock /build/
RUN --mount=type=cache,target=/var/cache/pip \
    /build/tools/bin/pip --python /venv/bin/python install --quiet --require-hashes --no-deps --only-binary :all: --compile -r /build/requirements.lock
# Leaves out what no process reads: sources and compiled texts of languages that the shop does not speak, Django's geometry and
# the admin's pages, the pages of an API to click through, how single terminals draw characters, stubs, other people's tests,
# all of the S3 client that is about other things than S3 (its table of endpoints may be compressed), what Stripe's client has for type checkers only, AVIF, which is no
# kind of picture that the shop takes in or makes and needs the largest library of all, what of OpenTelemetry is not about traces
# (and the names of attributes that nobody uses), symbols for debuggers (bundled libraries have none), italics that no invoice
# has, and what ReportLab brings to show itself. What is left must still load.
RUN cd /venv/lib/python*/site-packages \
    && find . -path '*/locale/*' -type d -path '*/locale/[a-z]*' -prune ! -name en ! -name de ! -name zh_Hans -exec rm -rf {} + \
    && find . \( -name '*.po' -o -name '*.pyi' \) -delete \
    && rm -rf django/contrib/gis django/contrib/admin/static rest_framework/static wcwidth/table_grapheme_overrides/_known_* \
        wcwidth/table_grapheme_overrides/__pycache__/_known_* \
        stripe/params PIL/_avif.*.so pillow.libs/libavif-* fontpkg_noto_sans/files/*Italic* \
        reportlab/fonts/DarkGarden* reportlab/graphics/samples \
    && rm -rf opentelemetry/sdk/metrics opentelemetry/sdk/_logs opentelemetry/sdk/_configuration opentelemetry/semconv/trace opentelemetry/semconv/metrics \
    && find opentelemetry/semconv/_incubating -type f ! -name '__init__*' ! -name 'otel_*' -delete \
    && /venv/bin/python -c "from opentelemetry.sdk.trace import TracerProvider, export; TracerProvider().get_tracer('').start_span('').end()" \
    && find . -type d \( -name tests -o -name test \) ! -path './django/*' -prune -exec rm -rf {} + \
    && if [ -d botocore/data ]; then \
        find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' -exec rm -rf {} + \
        && find boto3/data -mindepth 1 -maxdepth 1 -type d ! -name s3 -exec rm -rf {} + \
        && gzip -9n botocore/data/endpoints.json; fi \
    && find . -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} + \
    && if [ -d boto3 ]; then /venv/bin/python -c "import boto3; boto3.resource('s3', region_name='eu-central-1')"; fi \
    && if [ -d PIL ]; then /venv/bin/python -c "from PIL import Image, ImageFont; Image.init(); ImageFont.load_default(9)"; fi
COPY shared-lib /build/shared-lib
RUN /build/tools/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /build/wheels /build/shared-lib \
    && /build/tools/bin/pip --python /venv/bin/python install --quiet --no-index --no-deps --compile /build/wheels/*.whl
COPY ${SERVICE} /app
RUN python -m compileall -q /app

# The base without what only installs or builds software (package managers, Perl, pip, headers), windows to click at, tools of
# administrators, and libraries that only these linked to. The time zones stay: no lock has them. A layer that all services share.
FROM ${PYTHON_IMAGE} AS trimmed
# Pictures, and what the sandbox provider knows, go to volumes, which take their first owner from here.
RUN groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shop \
    && install -d -o 10001 -g 10001 /media /data \
    && rm -rf /usr/bin/apt* /usr/lib/apt /usr/lib/*/libapt-* /etc/apt /var/lib/apt /var/cache/apt /usr/bin/sqv \
        /usr/bin/dpkg* /usr/share/dpkg /var/lib/dpkg/info /usr/bin/perl* /usr/lib/*/perl* /usr/share/perl* \
        /usr/lib/*/gconv /usr/bin/localedef /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info \
        /usr/share/python-wheels /usr/local/bin/pip* /usr/local/include /usr/share/keyrings \
        /usr/share/bash-completion /var/cache/debconf /usr/bin/openssl \
    && find /usr/sbin -mindepth 1 ! -name ldconfig -delete \
    && for library in db-5 sepol semanage hogweed nettle; do rm -f /usr/lib/*/lib$library[.-]*; done \
    && rm -f /usr/lib/*/security/pam_userdb.so \
    && cd "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf ensurepip idlelib test pydoc_data turtledemo tkinter lib-dynload/_tkinter.* lib-dynload/_dbm.* lib-dynload/_test* site-packages/pip*

FROM scratch
ARG SERVICE
COPY --from=trimmed / /
COPY --from=builder /venv /venv
COPY deploy/docker/healthcheck.py /usr/local/lib/shop/healthcheck.py
COPY --from=builder /app /app
WORKDIR /app
ENV PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1 LANG=C.UTF-8 TZ=UTC HOST=0.0.0.0 PORT=8000
USER 10001:10001
EXPOSE 8000
# Every process ends what it is doing and then itself: web after the requests, events and worker after the message or job.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-I", "-S", "/usr/local/lib/shop/healthcheck.py"]
ENTRYPOINT ["python", "-m", "shared_lib.server"]
CMD ["web"]
ARG VERSION=dev
ENV SERVICE_VERSION=${VERSION}
LABEL org.opencontainers.image.title="${SERVICE}" \
      org.opencontainers.image.description="${SERVICE} of the shop: web, events, worker and beat" \
      org.opencontainers.image.version="${VERSION}"
