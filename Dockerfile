# One image for every process: web (Daphne), ingest (uvicorn), migrate. SERVER and ROLE, or the
# options of `serve`, select what a container runs.
FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt requirements-answer.txt ./
RUN pip install --requirement requirements.txt
# true: with the SDK of Call Automation, for installations that answer calls (docs/answering.md).
ARG ANSWERING=false
RUN if [ "$ANSWERING" = true ]; then pip install --requirement requirements-answer.txt; fi

COPY . .
# Static files are hashed and compressed at build time, so that containers start quickly. The key is
# used by this command only and is not stored in the image.
RUN python -m compileall -q acsmedia calls streams \
 && SECRET_KEY=only-while-building python manage.py collectstatic --noinput --verbosity 0 \
 && useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin acsmedia \
 && install --directory --owner acsmedia --group acsmedia --mode 0700 /data

USER acsmedia
ENV DATA_DIR=/data HOST=0.0.0.0 PORT=8000 SERVER=daphne
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", \
       "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

# Checks the settings, then replaces itself with the server, which gets SIGTERM as process 1.
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
