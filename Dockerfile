# Champion and everything it needs, by the lock: MLflow's server, Prefect's server and the worker are this one image.
FROM python:3.11-slim-bookworm

WORKDIR /opt/champion
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --create-home --uid 1000 champion \
    && install -d -o champion /data

USER champion
WORKDIR /data
ENV CHAMPION_HOME=/data DO_NOT_TRACK=true MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false PREFECT_SERVER_UI_V2_ENABLED=false
CMD ["champion", "--help"]
