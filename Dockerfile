# A static binary and nothing else: no shell, no package, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/evenkeel ./cmd/evenkeel
# The empty directory becomes the data directory. A new volume takes over its
# owner, so that the process can write there without any right.
WORKDIR /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/evenkeel /usr/local/bin/evenkeel
COPY --from=build --chown=65532:65532 /out/data /var/lib/evenkeel
USER 65532:65532
ENV EVENKEEL_DATA_DIR=/var/lib/evenkeel
VOLUME /var/lib/evenkeel
# API, cluster (TCP and UDP) and the default listener.
EXPOSE 7070 7071 7071/udp 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/evenkeel", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/evenkeel"]
CMD ["serve"]
