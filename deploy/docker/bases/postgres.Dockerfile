# Stands for the official postgres:17 where that cannot be pulled: same user, folders, variables and init folder.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-common \
    && printf 'create_main_cluster = false\n' > /etc/postgresql-common/createcluster.conf \
    && apt-get install --yes --no-install-recommends postgresql-17 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/lib/postgresql/17/lib/bitcode /usr/lib/llvm* /usr/lib/*/libLLVM* \
        /usr/lib/postgresql/17/lib/llvmjit* /usr/lib/*/libz3.so* \
    && mkdir -p /docker-entrypoint-initdb.d /var/lib/postgresql/data /var/run/postgresql \
    && chown postgres:postgres /var/lib/postgresql /var/lib/postgresql/data /var/run/postgresql \
    && chmod 1777 /var/lib/postgresql/data && chmod 3777 /run/postgresql
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
USER postgres
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
