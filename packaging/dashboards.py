#!/usr/bin/env python3
"""What can be done with the dashboards in packaging/grafana without Grafana.

dashboards.py check                         the dashboards, the alerts and the runbook fit together
dashboards.py query PROMETHEUS              every expression, evaluated by a Prometheus: none may be refused, and those without
                                            a result are listed
dashboards.py draw PROMETHEUS UID MINUTES   the panels of a dashboard over the last minutes, as an HTML page

PROMETHEUS is its address, such as http://127.0.0.1:9090. The page is not Grafana's: it has the same panels, in the same places,
with the same queries, units and limits, drawn plainly.
"""

import html
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOBS = ["paysaga-gateway", "paysaga-order", "paysaga-payment"]
RATE_INTERVAL = "30s"


def main():
    match sys.argv[1:]:
        case ["check"]:
            check()
        case ["query", prometheus]:
            query_all(prometheus)
        case ["draw", prometheus, uid, minutes]:
            print(Page(prometheus, dashboards()[uid], int(minutes)).html())
        case _:
            sys.exit(__doc__)


def dashboards():
    """Every dashboard, by its uid."""
    files = sorted((ROOT / "packaging/grafana").glob("*.json"))
    return {dashboard["uid"]: dashboard for dashboard in map(lambda file: json.loads(file.read_text()), files)}


def expressions(dashboard, minutes=60):
    """Panel, target and expression of each target, with Grafana's variables replaced. One of a job is of each job in turn."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            for job in JOBS if "$job" in target["expr"] else [""]:
                values = {"$__rate_interval": RATE_INTERVAL, "$__range": f"{minutes}m", "$job": job, "$instance": ".*"}
                expression = target["expr"]
                for name, value in values.items():
                    expression = expression.replace(name, value)
                yield panel, target, expression


# --- check -------------------------------------------------------------------------------------------------------


def check():
    problems = []
    every = dashboards()
    sections = {line[3:].strip().lower() for line in (ROOT / "docs/RUNBOOK.md").read_text().splitlines() if line.startswith("## ")}
    for uid, dashboard in every.items():
        problems += [f"{uid}: {problem}" for problem in problems_of(dashboard, sections)]
    for file in "packaging/prometheus/alerts.yaml", "docs/RUNBOOK.md":
        text = (ROOT / file).read_text()
        for uid, panel in re.findall(r"/d/([a-z-]+)\?[^\s\"`]*viewPanel=(\d+)", text):
            if int(panel) not in {one["id"] for one in every.get(uid, {"panels": []})["panels"]}:
                problems.append(f"{file}: there is no panel {panel} of {uid}")
    alerts = (ROOT / "packaging/prometheus/alerts.yaml").read_text().split("- alert: ")[1:]
    problems += [f"{alert.split()[0]} links to no panel" for alert in alerts if "dashboard_url: " not in alert]
    problems += problems_of_expressions(every)
    if problems:
        sys.exit("\n".join(problems))
    panels = sum(len(dashboard["panels"]) for dashboard in every.values())
    print(f"dashboards: {len(every)} with {panels} panels fit together with {len(alerts)} alerts and the runbook")


def problems_of_expressions(every):
    """What promtool, where there is one, has to say about the expressions, as rules."""
    if not shutil.which("promtool"):
        return []
    found = [expression for dashboard in every.values() for _, _, expression in expressions(dashboard)]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(found)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"groups": [{"name": "panels", "rules": rules}]}, file)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    return [] if checked.returncode == 0 else [checked.stdout + checked.stderr]


def problems_of(dashboard, sections):
    seen, taken = set(), {}
    for panel in dashboard["panels"]:
        name = f"panel {panel['id']} ({panel['title']})"
        if panel["id"] in seen:
            yield f"{name}: its id is not unique"
        seen.add(panel["id"])
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), name)
                if other != name:
                    yield f"{name} overlaps {other}"
                    break
        if place["x"] + place["w"] > 24:
            yield f"{name} is wider than the page"
        if panel["type"] != "row" and not panel.get("description"):
            yield f"{name} has no description"
    for section in re.findall(r"runbook:raw}#([a-z]+)", json.dumps(dashboard)):
        if section not in sections:
            yield f"the runbook has no section {section}"


# --- query -------------------------------------------------------------------------------------------------------


def query_all(prometheus):
    refused = empty = total = 0
    for uid, dashboard in dashboards().items():
        for panel, _, expression in expressions(dashboard):
            total += 1
            try:
                result = ask(prometheus, "query", query=expression)
            except Refused as refusal:
                refused += 1
                print(f"REFUSED   {uid} {panel['id']}: {refusal}\n          {expression}")
                continue
            if not result:
                empty += 1
                print(f"no result {uid} {panel['id']} {panel['title']}: {expression}")
    print(f"{total} expressions: {refused} refused, {empty} without a result")
    sys.exit(1 if refused else 0)


class Refused(Exception):
    """Prometheus does not accept an expression."""


def ask(prometheus, what, **parameters):
    url = f"{prometheus}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error)["error"]) from None


# --- draw --------------------------------------------------------------------------------------------------------

COLUMN, ROW, GAP = 58, 30, 8
COLOURS = ["#56883f", "#d39b1b", "#3f7fbf", "#c65d21", "#b5303f", "#7a57a8", "#4b8e8e", "#8a6d3b", "#5f6b7a", "#a94f8e"]
NAMED = {"green": "#3d8b37", "orange": "#d9820f", "red": "#c4162a", "text": "#24292e", "transparent": "#24292e"}
STYLE = """
body { margin: 0; background: #f4f5f5; color: #24292e; font: 13px "DejaVu Sans", sans-serif; position: relative }
header { padding: 14px 12px 0 } header b { font-size: 17px } header span { color: #5a6067; margin-left: 10px }
main { position: relative; margin-top: 12px }
section { position: absolute; background: #fff; border: 1px solid #dcdfe3; border-radius: 3px; box-sizing: border-box;
  padding: 6px 8px; overflow: hidden }
section.row { background: none; border: none; font-weight: bold }
h2 { font-size: 12px; margin: 0 0 4px; white-space: nowrap }
.numbers { display: flex; flex-wrap: wrap; gap: 2px 18px; justify-content: center; align-content: center; height: 78% }
.numbers div { font-size: 26px; font-weight: bold; text-align: center } .numbers small { display: block; font-size: 11px; font-weight: normal; color: #5a6067 }
.legend { font-size: 11px; color: #444b52; line-height: 15px; height: 30px; overflow: hidden } .legend i { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 8px }
svg text { font: 10px "DejaVu Sans", sans-serif; fill: #5a6067 } table { border-spacing: 12px 3px; font-size: 12px; text-align: left }
"""


class Page:
    """A dashboard over the last minutes."""

    def __init__(self, prometheus, dashboard, minutes):
        self.prometheus = prometheus
        self.dashboard = dashboard
        self.minutes = minutes
        self.end = time.time()
        self.start = self.end - 60 * minutes
        self.step = max(1, 60 * minutes // 240)

    def html(self):
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in self.dashboard["panels"]) * ROW
        panels = "\n".join(map(self.panel, self.dashboard["panels"]))
        title = html.escape(self.dashboard["title"])
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
            f"<header><b>{title}</b><span>{html.escape(self.dashboard['description'])} "
            f"The last {self.minutes} minutes, drawn from Prometheus without Grafana.</span></header>"
            f'<main style="width:{24 * COLUMN + GAP}px;height:{height + GAP}px">{panels}</main></html>'
        )

    def panel(self, panel):
        place = panel["gridPos"]
        width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
        box = f"left:{place['x'] * COLUMN + GAP}px;top:{place['y'] * ROW}px;width:{width}px;height:{height}px"
        draw = {"stat": self.stat, "timeseries": self.lines, "table": self.table}.get(panel["type"])
        content = draw(panel, width - 18, height - 78) if draw else ""
        return f'<section class="{panel["type"]}" style="{box}"><h2>{html.escape(panel["title"])}</h2>{content}</section>'

    def results(self, panel, what, **when):
        for one, target, expression in expressions({"panels": [panel]}, self.minutes):
            for series in ask(self.prometheus, what, query=expression, **when):
                yield legend(target, series["metric"]), series

    def stat(self, panel, _width, _height):
        defaults = panel["fieldConfig"]["defaults"]
        shown = []
        found = list(self.results(panel, "query", time=self.end))
        for name, series in found:
            value = float(series["value"][1])
            small = f"<small>{html.escape(name)}</small>" if len(found) > 1 and name else ""
            text = name if panel["options"].get("textMode") == "name" else text_of(value, defaults)
            shown.append(f'<div style="color:{colour_of(value, defaults)}">{html.escape(text)}{small}</div>')
        return f'<div class="numbers">{"".join(shown) or "<div>–</div>"}</div>'

    def table(self, panel, _width, _height):
        rows = [series["metric"] for _, series in self.results(panel, "query", time=self.end)]
        if not rows:
            return "<p>none</p>"
        columns = sorted({label for row in rows for label in row})
        cells = lambda row: "".join(f"<td>{html.escape(row.get(column, ''))}</td>" for column in columns)
        return f"<table><tr>{''.join(f'<th>{column}</th>' for column in columns)}</tr>{''.join(f'<tr>{cells(row)}</tr>' for row in rows)}</table>"

    def lines(self, panel, width, height):
        defaults = panel["fieldConfig"]["defaults"]
        found = list(self.results(panel, "query_range", start=self.start, end=self.end, step=self.step))
        found = [(name, [(float(at), float(value)) for at, value in series["values"]]) for name, series in found]
        numbers = [value for _, points in found for _, value in points if math.isfinite(value)]
        ticks = ticks_to(defaults.get("max") or max(numbers, default=0) * 1.05 or 1)
        left, top = 52, ticks[-1]
        x = lambda at: left + (at - self.start) / (self.end - self.start) * (width - left)
        y = lambda value: height - value / top * (height - 6)
        parts = []
        for tick in ticks:
            parts.append(f'<line x1="{left}" x2="{width}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e4e6e9"/>')
            parts.append(f'<text x="{left - 6}" y="{y(tick) + 3:.1f}" text-anchor="end">{text_of(tick, defaults)}</text>')
        for part in range(5):
            at = self.start + (self.end - self.start) * (part + 0.5) / 5
            parts.append(f'<text x="{x(at):.0f}" y="{height + 13}" text-anchor="middle">{time.strftime("%H:%M:%S", time.localtime(at))}</text>')
        limit = (defaults.get("thresholds") or {"steps": []})["steps"][1:]
        for step in limit:
            if step["value"] <= top:
                parts.append(f'<line x1="{left}" x2="{width}" y1="{y(step["value"]):.1f}" y2="{y(step["value"]):.1f}" stroke="{NAMED[step["color"]]}" stroke-dasharray="5 4"/>')
        for number, (_, points) in enumerate(found):
            colour = COLOURS[number % len(COLOURS)]
            for run in runs(points, self.step):
                line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in run)
                parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        names = "".join(
            f'<i style="background:{COLOURS[number % len(COLOURS)]}"></i>{html.escape(name)}' for number, (name, _) in enumerate(found)
        )
        return f'<svg width="{width}" height="{height + 16}">{"".join(parts)}</svg><div class="legend">{names or "no data"}</div>'


def legend(target, labels):
    """A series' name, as the target's legend has it."""
    pattern = target.get("legendFormat")
    if pattern is None:
        return ""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), pattern).strip()


def runs(points, step):
    """The points, parted where some are missing: there a line would tell what is not known."""
    run = []
    for at, value in points:
        if run and (at - run[-1][0] > 1.5 * step or not math.isfinite(value)):
            yield run
            run = []
        if math.isfinite(value):
            run.append((at, value))
    if run:
        yield run


def ticks_to(most):
    """Round numbers from zero to at least the highest value."""
    rough = most / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step * 0.999) + 1)]


def colour_of(value, defaults):
    steps = (defaults.get("thresholds") or {}).get("steps", [])
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return NAMED[passed[-1]] if passed else NAMED["text"]


def text_of(value, defaults):
    for mapping in defaults.get("mappings", []):
        if f"{value:g}" in mapping["options"]:
            return mapping["options"][f"{value:g}"]["text"]
    if not math.isfinite(value):
        return "–"
    match defaults.get("unit"):
        case "s":
            for size, name in (86400, "d"), (3600, "h"), (60, "min"), (1, "s"):
                if value >= size:
                    return f"{value / size:.3g} {name}"
            return f"{value * 1000:.3g} ms"
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "bytes":
            for size, name in (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"):
                if value >= size:
                    return f"{value / size:.3g} {name}"
            return f"{value:.0f} B"
        case "ops" | "reqps":
            return f"{rounded(value, defaults)}/s"
    return rounded(value, defaults)


def rounded(value, defaults):
    if "decimals" in defaults and value >= 1:
        return f"{value:,.{defaults['decimals']}f}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
