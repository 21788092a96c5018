# The gateway: Debian's Nginx with Lua, the route table, and the description pages with Swagger UI beside them.
ARG DEBIAN_IMAGE=debian:trixie-slim
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS pages
COPY requirements.lock /build/
RUN awk '/^[a-z0-9]/ {found = /^drf-spectacular-sidecar==/} found' /build/requirements.lock > /build/pages.lock \
    && python -m venv /build/tools \
    && /build/tools/bin/pip --disable-pip-version-check install --quiet --no-cache-dir --require-hashes --no-deps --target /build/site -r /build/pages.lock
COPY deploy/apidocs/pages /docs
RUN cp /docs/asyncapi.json /docs/events/ \
    && cd /build/site/drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist \
    && cp swagger-ui-bundle.js swagger-ui.css /docs/docs/

FROM ${DEBIAN_IMAGE} AS nginx
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d \
    && apt-get -q update \
    && apt-get -q install --yes --no-install-recommends nginx libnginx-mod-http-lua lua-resty-core lua-resty-lrucache lua-cjson \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /etc/nginx/sites-enabled /usr/share/doc/* /usr/share/man/* \
    && groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --home-dir /tmp --shell /usr/sbin/nologin shop \
    && install -d -o 10001 -g 10001 /media

FROM nginx
COPY --from=pages /docs /docs
COPY gateway /gateway
COPY deploy/docker/gateway-entry.sh deploy/docker/gateway-health.sh /usr/local/bin/
ENV LANG=C.UTF-8 TZ=UTC OUTPUT_DIR=/tmp/gateway DOCS_ROOT=/docs MEDIA_ROOT=/media GATEWAY_PORT=8080
USER 10001:10001
EXPOSE 8080
# Finishes the requests that run.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 CMD ["gateway-health.sh"]
ENTRYPOINT ["gateway-entry.sh"]
ARG VERSION=dev
ENV SERVICE_VERSION=${VERSION}
LABEL org.opencontainers.image.title="gateway" \
      org.opencontainers.image.description="The shop's gateway: Nginx and Lua, API pages" \
      org.opencontainers.image.version="${VERSION}"
