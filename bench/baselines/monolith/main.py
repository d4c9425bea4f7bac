"""The application: `uvicorn bench.baselines.monolith.main:app`."""

from fastapi import FastAPI
from prometheus_client import make_asgi_app

from bench.baselines.monolith import contacts
from bench.baselines.monolith.metrics import Metrics

app = FastAPI(title="Contacts")
app.include_router(contacts.router)
app.mount("/metrics", make_asgi_app())
app.add_middleware(Metrics)
