"""Line charts as SVG: a few series over a common axis. Text is text, colours tell apart also in grey, and nothing is loaded."""

import math
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 380, 70, 130, 44, 48
COLOURS = ["#0b5cad", "#d9730d", "#2b8a3e", "#8a2b8a", "#555555"]
DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2"]


def steps(most):
    """Round values from 0 to past `most`, about five."""
    if most <= 0:
        return [0, 1]
    size = 10 ** math.floor(math.log10(most / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if most / (size * factor) <= 6)
    return [round(step * i, 10) for i in range(math.ceil(most / step - 1e-9) + 1)]


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def line_chart(title, x_label, y_label, series, log_x=False):
    """`series`: name to [(x, y), ...]. With log_x the axis is logarithmic and has a mark at each x that is there."""
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError("a chart of nothing")
    xs = sorted({x for x, _ in points})
    y_marks = steps(max(y for _, y in points))
    scale = math.log2 if log_x else float
    first, last = scale(xs[0]), scale(xs[-1])
    x_marks = xs if log_x else [each for each in steps(xs[-1]) if xs[0] <= each <= xs[-1]]

    def place(x, y):
        across = (scale(x) - first) / (last - first) if last > first else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / y_marks[-1] * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
             f"<title>{escape(title)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
             f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>']
    for mark in y_marks:
        _, y = place(xs[0], mark)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
                     f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for mark in x_marks:
        x, _ = place(mark, 0)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(mark)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
                 f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        y = TOP + 18 * number
        parts.append(f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 40}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2" '
                     f'stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 46}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join(parts) + "\n</svg>\n"
