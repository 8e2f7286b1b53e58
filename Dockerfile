# docker build -t fast-dllm . && docker run -p 8080:8080 -v /models:/models:ro fast-dllm --model /models/NAME
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      g++ cmake ninja-build pkg-config nlohmann-json3-dev libcli11-dev libpcre2-dev \
      libutf8proc-dev libfmt-dev libboost-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN cmake -S /source -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DFASTDLLM_TESTS=OFF \
      -DCMAKE_INSTALL_PREFIX=/usr/local \
    && cmake --build /build && cmake --install /build --strip

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libpcre2-8-0 libutf8proc2 libfmt9 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local /usr/local
USER 65534:65534
EXPOSE 8080
# The key comes from FDLLM_API_KEY; SIGTERM drains.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/fast-dllm", "serve", "--host", "0.0.0.0", "--port", "8080"]
