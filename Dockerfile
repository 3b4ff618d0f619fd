# One image for both processes: the API (default) and the worker (`python -m workers`).
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
COPY requirements/runtime.txt requirements/runtime.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.txt \
 && useradd --system --no-create-home --uid 10001 soundops
COPY app app
COPY workers workers

USER soundops
ENV SOUNDOPS_ENVIRONMENT=production SOUNDOPS_HOST=0.0.0.0
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["python", "-m", "app"]
