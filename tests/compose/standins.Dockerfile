# Stand-ins for the public images that docker-compose.yml and infra/docker/Dockerfile name, from Debian packages alone.
# Used by tests/compose/standins.sh on machines that cannot pull images; nobody who can pull needs this file.
# Each one keeps what our files rely on: the program on the PATH, the user's number, and who owns the data folder.
ARG SUITE=trixie
FROM debian:${SUITE}-slim AS debian
ARG DEBIAN_FRONTEND=noninteractive
RUN rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update
# A package must not start a server while the image is built.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d

FROM debian AS python
RUN apt-get install -y --no-install-recommends python3 python3-venv python3-pip ca-certificates \
    && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python3 && ln -s /usr/bin/python3 /usr/local/bin/python

FROM debian AS rabbitmq
RUN groupadd -r -g 999 rabbitmq && useradd -r -u 999 -g 999 -d /var/lib/rabbitmq rabbitmq \
    && apt-get install -y --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/rabbitmq /var/log/rabbitmq /etc/rabbitmq && mkdir -p /var/lib/rabbitmq /var/log/rabbitmq /etc/rabbitmq \
    && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
# The public image has the server's own scripts on the PATH, not Debian's wrappers, which want root or a log file.
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
VOLUME /var/lib/rabbitmq

FROM debian AS clamav
RUN groupadd -r -g 101 clamav && useradd -r -u 100 -g 101 -d /var/lib/clamav clamav \
    && apt-get install -y --no-install-recommends clamav-daemon clamav-freshclam clamdscan clamav \
    && rm -rf /etc/clamav /var/lib/clamav && mkdir -p /etc/clamav /var/lib/clamav && chown clamav:clamav /var/lib/clamav

# The public image has the distribution's files in another folder, which its rspamd knows, as this one knows Debian's.
FROM debian AS rspamd
RUN apt-get install -y --no-install-recommends rspamd && usermod -u 11333 _rspamd && groupmod -g 11333 _rspamd \
    && chown -R _rspamd:_rspamd /var/lib/rspamd
VOLUME /var/lib/rspamd

FROM debian AS redis
RUN groupadd -r -g 999 redis && useradd -r -u 999 -g 999 -d /data redis \
    && apt-get install -y --no-install-recommends redis-server && mkdir -p /data && chown redis:redis /data
VOLUME /data

FROM debian AS postgres
RUN groupadd -r -g 999 postgres && useradd -r -u 999 -g 999 -d /var/lib/postgresql -m postgres \
    && apt-get install -y --no-install-recommends postgresql-common \
    && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends postgresql \
    && mkdir -p /var/lib/postgresql/data && chown -R postgres:postgres /var/lib/postgresql \
    && ln -s /usr/lib/postgresql/*/bin /usr/lib/postgresql/bin
ENV PATH=/usr/lib/postgresql/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data

FROM debian AS haproxy
RUN apt-get install -y --no-install-recommends haproxy && usermod -u 99 haproxy && groupmod -g 99 haproxy

# The public image runs as nobody, too, and has the program and promtool on the PATH.
FROM debian AS prometheus
RUN apt-get install -y --no-install-recommends prometheus && rm -rf /etc/prometheus /var/lib/prometheus \
    && mkdir -p /etc/prometheus /prometheus && chown 65534:65534 /prometheus
WORKDIR /prometheus
VOLUME /prometheus

# Not an image anyone runs: Compose v2's binary is copied out of it.
FROM debian AS compose-v2
RUN cd /tmp && apt-get download docker-compose && dpkg-deb -x docker-compose_*.deb /compose
