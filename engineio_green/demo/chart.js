// One live line of round-trip times on a canvas.
//
// It owns the drawing; which samples there are, and where the scale ends, it is told. Colours come from the page's
// custom properties, so that it follows the light and the dark scheme.

export const WINDOW = 30_000; // milliseconds of history across the width
const GUTTER = 52; // pixels on the left for the scale
const GAP = 1_500; // two samples further apart are not joined

// Powers of ten around the given times: the ends of a logarithmic scale, on which both 1 ms and 100 ms can be read.
export function decades(least, most) {
  const low = 10 ** Math.floor(Math.log10(Math.max(least, 0.1)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(most, 0.1)));
  return { low: Math.min(low, high / 100), high };
}

function ticks({ low, high }) {
  const count = Math.round(Math.log10(high / low)) + 1;
  return Array.from({ length: count }, (_, index) => low * 10 ** index);
}

function tickLabel(milliseconds) {
  const round = Number(milliseconds.toPrecision(1));
  return round < 1000 ? `${round} ms` : `${round / 1000} s`;
}

export function formatTime(milliseconds) {
  if (milliseconds === undefined || Number.isNaN(milliseconds)) return "–";
  if (milliseconds < 10) return milliseconds.toFixed(1);
  return milliseconds < 10_000 ? milliseconds.toFixed(0) : `${(milliseconds / 1000).toFixed(0)} s`;
}

export class Chart {
  #canvas;
  #context;
  #pointer = null; // x of the mouse over the chart, in CSS pixels

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    canvas.addEventListener("pointermove", (event) => (this.#pointer = event.offsetX));
    canvas.addEventListener("pointerleave", () => (this.#pointer = null));
  }

  // samples: [{at, time, transport}], events: [{at, kind}] with kind open, upgrade or closed, oldest first.
  draw({ samples, events, median, scale, now }) {
    const { width, height } = this.#fit();
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const plot = { left: GUTTER, top: 8, bottom: height - 20, width, height, now, scale, colour };
    plot.x = (at) => width - ((now - at) / WINDOW) * (width - GUTTER);
    plot.y = (time) => {
      const within = Math.min(Math.max(time, scale.low), scale.high);
      return plot.bottom - (Math.log(within / scale.low) / Math.log(scale.high / scale.low)) * (plot.bottom - plot.top);
    };
    this.#context.clearRect(0, 0, width, height);
    this.#context.font = `11px ${style.fontFamily}`;
    this.#context.lineJoin = "round";
    this.#drawGrid(plot);
    this.#context.save();
    this.#context.beginPath();
    this.#context.rect(GUTTER, 0, width - GUTTER, height);
    this.#context.clip();
    this.#drawOutages(plot, events);
    for (const run of joinedRuns(samples)) this.#drawRun(plot, run);
    this.#drawMedian(plot, median);
    this.#drawUpgrades(plot, events);
    this.#context.restore();
    if (this.#pointer !== null) this.#drawReading(plot, samples);
  }

  // Makes the bitmap as fine as the screen is.
  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = window.devicePixelRatio || 1;
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }

  #drawGrid({ left, width, bottom, scale, y, colour }) {
    const context = this.#context;
    context.lineWidth = 1;
    context.fillStyle = colour("muted");
    context.textAlign = "right";
    for (const time of ticks(scale)) {
      const line = Math.round(y(time)) + 0.5;
      context.strokeStyle = colour(time === scale.low ? "axis" : "grid");
      context.beginPath();
      context.moveTo(left, line);
      context.lineTo(width, line);
      context.stroke();
      context.fillText(tickLabel(time), left - 8, line + 4);
    }
    context.fillText("now", width, bottom + 16);
    context.textAlign = "left";
    context.fillText(`${WINDOW / 1000} s ago`, left, bottom + 16);
  }

  #drawRun({ x, y, bottom, colour }, run) {
    const context = this.#context;
    const tint = colour(run[0].transport);
    context.beginPath();
    for (const { at, time } of run) context.lineTo(x(at), y(time));
    context.strokeStyle = tint;
    context.lineWidth = 1.5;
    context.stroke();
    context.lineTo(x(run.at(-1).at), bottom);
    context.lineTo(x(run[0].at), bottom);
    context.globalAlpha = 0.1;
    context.fillStyle = tint;
    context.fill();
    context.globalAlpha = 1;
    const last = run.at(-1);
    context.beginPath();
    context.arc(x(last.at), y(last.time), 2, 0, 2 * Math.PI);
    context.fill();
  }

  #drawMedian({ left, width, y, colour }, median) {
    if (median === undefined) return;
    const context = this.#context;
    context.setLineDash([2, 4]);
    context.strokeStyle = colour("text");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left, y(median));
    context.lineTo(width, y(median));
    context.stroke();
    context.setLineDash([]);
  }

  #drawUpgrades({ x, top, bottom, now, width, colour }, events) {
    const context = this.#context;
    for (const { at, kind } of events) {
      if (kind !== "upgrade" || at < now - WINDOW) continue;
      const label = "upgrade";
      const fits = x(at) + context.measureText(label).width + 6 < width;
      context.strokeStyle = colour("websocket");
      context.fillStyle = colour("websocket");
      context.beginPath();
      context.moveTo(x(at), top);
      context.lineTo(x(at), bottom);
      context.stroke();
      context.textAlign = fits ? "left" : "right";
      context.fillText(label, x(at) + (fits ? 4 : -4), top + 22);
    }
  }

  // The time in which there was no connection, as a shaded band.
  #drawOutages({ x, top, bottom, now, width, colour }, events) {
    const context = this.#context;
    events.forEach(({ at, kind }, index) => {
      if (kind !== "closed") return;
      const end = events.slice(index + 1).find((later) => later.kind === "open")?.at ?? now;
      const left = x(at);
      const right = Math.min(width, x(end));
      if (right <= left) return;
      context.globalAlpha = 0.16;
      context.fillStyle = colour("trouble");
      context.fillRect(left, top, right - left, bottom - top);
      context.globalAlpha = 1;
    });
  }

  #drawReading({ x, y, top, bottom, width, colour }, samples) {
    const distance = (sample) => Math.abs(x(sample.at) - this.#pointer);
    const nearest = samples.reduce((best, one) => (best && distance(best) <= distance(one) ? best : one), null);
    if (!nearest || distance(nearest) > 20) return;
    const context = this.#context;
    const text = `${formatTime(nearest.time)} ms by ${nearest.transport}`;
    const box = context.measureText(text).width + 12;
    const left = Math.max(0, Math.min(width - box, x(nearest.at) - box / 2));
    context.strokeStyle = colour("muted");
    context.beginPath();
    context.moveTo(x(nearest.at), top);
    context.lineTo(x(nearest.at), bottom);
    context.stroke();
    context.fillStyle = colour("text");
    context.fillRect(left, top, box, 20);
    context.fillStyle = colour("panel");
    context.textAlign = "left";
    context.fillText(text, left + 6, top + 14);
    context.fillStyle = colour(nearest.transport);
    context.beginPath();
    context.arc(x(nearest.at), y(nearest.time), 4, 0, 2 * Math.PI);
    context.fill();
  }
}

// Splits the samples where a line must not join them: a pause, or another transport.
function joinedRuns(samples) {
  const runs = [];
  let previous = null;
  for (const sample of samples) {
    const joins = previous && sample.at - previous.at < GAP && sample.transport === previous.transport;
    if (joins) runs.at(-1).push(sample);
    else runs.push([sample]);
    previous = sample;
  }
  return runs;
}
