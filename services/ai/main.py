"""AI as a process: `python -m services.ai.main`. It has health and a database of its own, and no rooms yet."""

from chassis.app import App, nothing_yet
from chassis.settings import ServiceSettings

if __name__ == "__main__":
    App("ai", nothing_yet, ServiceSettings).run()
