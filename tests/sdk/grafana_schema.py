"""Reads dashboards as Grafana's own types have them. Fails when they lack what these need, or have what these do not know."""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel


def unknown(written, read, path):
    """Places in what was written that are not in what was read."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from unknown(value, read[key], f"{path}.{key}")
            elif value not in (None, "", [], {}, False, 0):
                yield f"{path}.{key}"
    elif isinstance(written, list) and isinstance(read, list):
        if len(written) != len(read):
            yield f"{path}: {len(written)} became {len(read)}"
        for index, (one, other) in enumerate(zip(written, read)):
            yield from unknown(one, other, f"{path}[{index}]")
    elif written != read:
        yield f"{path}: {written!r} became {read!r}"


def main(paths):
    register_default_plugins()
    for path in paths:
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
        dashboard = Dashboard.from_json(written)
        read = json.loads(json.dumps(dashboard, cls=JSONEncoder))
        faults = list(unknown(written, read, path))
        panels = [panel for panel in dashboard.panels or [] if isinstance(panel, Panel)]
        for panel in panels:
            if not panel.title or not panel.description or not panel.targets:
                faults.append(f"{path}: a panel lacks title, description or query: {panel.title!r}")
            if panel.field_config is None or panel.field_config.defaults.unit is None:
                faults.append(f"{path}: {panel.title!r} has no unit")
        if faults or not panels:
            sys.exit("\n".join(faults) or f"{path} has no panels")
        print(f"{path}: {len(panels)} panels")


main(sys.argv[1:])
