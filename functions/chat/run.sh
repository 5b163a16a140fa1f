#!/bin/sh
# Started by the Lambda Web Adapter, which forwards each request to this server and streams the answer back.
# Lambda freezes the process between requests, so idle connections must outlive any pause of its own clock.
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}${LAMBDA_TASK_ROOT:-.}:/opt/python:${LAMBDA_RUNTIME_DIR:-}"
exec python3 -m uvicorn chat.handler:app \
    --host 127.0.0.1 --port "${AWS_LWA_PORT:-8080}" \
    --loop uvloop --http httptools --lifespan on \
    --timeout-keep-alive 900 --no-access-log --no-server-header
