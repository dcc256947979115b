# The command line in a container:
#   docker build -t onnxlin .
#   docker run --rm --network none -v "$PWD:/work" onnxlin check /work/model.onnx
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY onnxlin onnxlin
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[cli,testing]"

FROM python:3.13-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "onnxlin[cli,testing]" \
    && useradd --create-home onnxlin
USER onnxlin
WORKDIR /work
ENTRYPOINT ["onnxlin"]
CMD ["--help"]
