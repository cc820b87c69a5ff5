"""The tracking server of a cluster starts with no default password, pinned images, and one port."""

import re
from pathlib import Path

import yaml

TRACKING = Path(__file__).resolve().parents[2] / "cluster" / "tracking"
COMPOSE = (TRACKING / "compose.yaml").read_text(encoding="utf-8")


def test_the_tracking_server_starts_with_no_default_password() -> None:
    variables = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert variables == set(re.findall(r"\$\{(\w+):\?", COMPOSE)), (
        "a variable with a default, or with none and no error"
    )
    template = (TRACKING / "env.example").read_text(encoding="utf-8")
    assert variables == set(re.findall(r"^(\w+)=", template, flags=re.MULTILINE))
    assert not re.findall(r"^\w*(?:PASSWORD|SECRET)\w*=\S", template, flags=re.MULTILINE)


def test_the_tracking_server_names_the_hosts_it_answers_to_and_pins_its_images() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    assert "--allowed-hosts" in services["mlflow"]["command"]
    assert "*" not in services["mlflow"]["command"]
    images = [service["image"] for service in services.values() if "image" in service]
    assert images
    assert all(re.search(r":\d", image) for image in images)
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert len(published) == 1, "only the server itself can be reached from outside"


def test_the_address_of_the_database_names_the_driver_that_is_installed() -> None:
    """Without one, SQLAlchemy 2.1 looks for another."""
    server = yaml.safe_load(COMPOSE)["services"]["mlflow"]
    assert server["environment"]["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg2://")
    assert "psycopg2-binary==" in server["build"]["dockerfile_inline"]
