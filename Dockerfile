# syntax=docker/dockerfile:1

# Builds the program. The registry and the compiled crates outlive a change of the sources.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin otodoke \
    && cp target/release/otodoke /usr/local/bin/otodoke

# Holds the program, and the certificates that `amqps:` and `sslmode=require` check against.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin otodoke
COPY --from=build /usr/local/bin/otodoke /usr/local/bin/otodoke
USER 10001
ENV OTODOKE_HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# Ready means: connected to both services and set up. bash speaks TCP, so no curl is needed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/ready HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["otodoke"]
CMD ["run"]
