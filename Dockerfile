# One image for every process; docs/operating.md says how to run it.
# Pin the base where you build: --build-arg BASE=debian:12-slim@sha256:…
ARG BASE=debian:12-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*


FROM python AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
# `tools` stays behind; only /opt/takedown goes on, without pip.
RUN python3 -m venv /tools && python3 -m venv --without-pip /opt/takedown

WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN /tools/bin/pip --python /opt/takedown/bin/python install \
    --no-cache-dir --no-compile --only-binary :all: --require-hashes -r requirements.lock
# What makes our own wheel; pyproject.toml asks for it under [build-system].
RUN /tools/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY adapters adapters
COPY receiver receiver
RUN /tools/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /opt/takedown/bin/python install --no-compile --no-deps --no-index /wheels/*.whl
# Compiled here once, since nothing can be written at run time; without times, so that each build makes the same bytes.
RUN /opt/takedown/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/takedown/lib


FROM python
LABEL org.opencontainers.image.title="takedown-receiver"
# The folders give their owner and mode to named volumes that are mounted over them.
# Nothing may lift the rights of whoever runs it, also where somebody forgets no-new-privileges.
RUN groupadd --gid 10001 takedown \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/takedown \
        --shell /usr/sbin/nologin takedown \
    && cd /var/lib && mkdir takedown takedown/agent takedown/headers takedown/vault /etc/takedown \
    && chown -R 10001:10001 takedown /etc/takedown && chmod -R 0700 takedown /etc/takedown \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/takedown /opt/takedown
ENV PATH=/opt/takedown/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TAKEDOWN_CONFIG=/etc/takedown/config.toml
USER 10001:10001
WORKDIR /var/lib/takedown
EXPOSE 8440 8441
# Asks the public side: right for `serve` and `web`, to be switched off for the others, which listen to nobody outside.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["takedown-receiver", "healthcheck"]
ENTRYPOINT ["takedown-receiver"]
CMD ["serve"]
