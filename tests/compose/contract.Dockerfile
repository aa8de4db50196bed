# The contract tests' place with RabbitMQ 4.0 (Debian 13): the node is the one that infra/local/rabbitmq.py starts.
FROM debian:trixie-slim
ARG DEBIAN_FRONTEND=noninteractive
ARG PIP_CERT
ARG PIP_INDEX_URL
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && apt-get update && apt-get install -y --no-install-recommends rabbitmq-server python3-venv ca-certificates \
        gcc libc6-dev python3-dev libkrb5-dev
COPY infra/docker/extra-ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates && python3 -m venv /opt/tests
COPY requirements.lock requirements-dev.lock ./
RUN /opt/tests/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && /opt/tests/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
RUN useradd --uid 10001 --create-home tests
USER tests
ENV PATH=/opt/tests/bin:$PATH PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
CMD ["python", "-m", "pytest", "-p", "no:cacheprovider", "tests/contract"]
