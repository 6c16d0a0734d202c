// The map: every image at its place. What the grid shows is coloured, all else is faint.

import { PixelDots, PointDots } from "./dots.js";
import { isInside } from "./grid.js";

const NEAR = 10; // pixels from a pointer to the image that it means
const MOST = 12; // colours; what is beyond shares the last
const PALETTE = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#17becf", "#8c564b", "#7f7f7f"];
const find = (id) => document.getElementById(id);

// A colour as the four bytes of a pixel.
function pixel(colour, alpha = 255) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

const heat = (share) => `#${[255 * (1 - share), 90, 255 * share].map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;

// Those of the numbers that have a place, and their places.
function placed(all, { x: xs, y: ys }) {
  const numbers = all.filter((number) => xs[number] >= -2); // neither NaN nor unknown
  return { numbers, x: Float32Array.from(numbers, (number) => xs[number]), y: Float32Array.from(numbers, (number) => ys[number]) };
}

// A layer of dots; a shade for all of them, or one for each number.
function layer({ numbers, x, y }, size, shade) {
  const shades = new Uint32Array(numbers.length);
  if (typeof shade === "number") shades.fill(shade);
  else for (let at = 0; at < numbers.length; at += 1) shades[at] = shade(numbers[at]);
  return { x, y, shades, size };
}

export class LakeMap {
  zoom = 1;
  middle = [0, 0];
  isStale = true; // the dots, or their colours, are not those that were drawn

  constructor(images, grid) {
    Object.assign(this, { images, grid });
    this.canvas = find("plane");
    this.pen = this.canvas.getContext("2d");
    this.dots = new PixelDots(this.canvas);
    new ResizeObserver(() => this.seen()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.soon());
    for (const name of ["order", "selection", "decision"]) images.addEventListener(name, () => this.soon());
    grid.root.addEventListener("active", () => this.seen());
    find("colour").addEventListener("change", () => this.soon());
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => event.buttons || this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { find("hover").hidden = true; });
    this.canvas.addEventListener("dblclick", () => this.look(1, [0, 0]));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    images.addEventListener("cards", () => this.hovered !== undefined && this.showHovered());
  }

  get open() {
    return !find("map").hidden;
  }

  // The dots where they are for now: an array of x and one of y, by number.
  lay(places, isSame) {
    this.places = places;
    if (!isSame) this.look(1, [0, 0]);
    this.soon();
  }

  // Draw what has changed, in the next frame.
  soon() {
    this.isStale = true;
    this.seen();
  }

  // Draw the same dots, seen from elsewhere.
  seen() {
    if (!this.open) return;
    this.accelerated ??= this.accelerate();
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.draw();
    });
  }

  async accelerate() {
    const use = (dots, by) => {
      this.dots = dots;
      find("map").dataset.drawn = by;
      find("dots").hidden = by === "canvas";
      this.soon();
    };
    const pixels = this.dots;
    const points = await PointDots.on(find("dots"), () => use(pixels, "canvas")).catch(() => undefined);
    use(points ?? pixels, points ? "webgl" : "canvas");
  }

  // Pixels for a place in [-1, 1], and back.
  get scale() {
    return (this.zoom * 0.95 * Math.min(this.canvas.clientWidth, this.canvas.clientHeight)) / 2;
  }

  place(number) {
    const { scale, left, top } = this.frame();
    return [left + this.places.x[number] * scale, top - this.places.y[number] * scale];
  }

  // What turns places into pixels: taken once for many images, since asking the page for its size costs more than they.
  frame() {
    const { scale, middle, canvas } = this;
    return { scale, left: canvas.clientWidth / 2 - middle[0] * scale, top: canvas.clientHeight / 2 + middle[1] * scale };
  }

  // Codes of the colours by number, the colours, and what each means.
  coloured() {
    const { images } = this;
    const by = find("colour").value;
    const few = (codes, names) => {
      const counts = new Map();
      for (const number of images.order) counts.set(codes[number], (counts.get(codes[number]) ?? 0) + 1);
      const most = [...counts].sort((a, b) => b[1] - a[1]).map(([code]) => code);
      const place = new Map(most.map((code, at) => [code, Math.min(at, MOST - 1)]));
      const said = most.slice(0, MOST).map((code, at) => (at === MOST - 1 && most.length > MOST ? "others" : names[code] ?? "none"));
      return { of: (number) => place.get(codes[number]), colours: PALETTE, said };
    };
    if (by === "name") return few(images.name, images.names);
    if (by === "night") return few(images.night, images.nights);
    if (by === "cluster") return few(images.cluster, images.clusterNames.map((name, at) => `${at + 1}: ${name}`));
    if (by === "review") {
      return { of: (number) => images.decision[number], colours: ["#9aa0a6", "#15803d", "#b91c1c", "#a16207", "#6b21a8", "#db2777"],
        said: ["not decided", "ID", "OOD", "unsure", "bad image", "disputed"] };
    }
    if (by === "flag") return { of: (number) => images.flagged[number], colours: ["#4e79a7", "#b91c1c"], said: ["kept", "flagged"] };
    if (this.ends?.of !== images.logOdds) {
      const values = images.logOdds.filter((value) => !Number.isNaN(value)).sort();
      this.ends = { of: images.logOdds, low: values[Math.floor(values.length * 0.02)], high: values[Math.floor(values.length * 0.98)] };
    }
    const { low, high } = this.ends;
    const share = (number) => Math.round(Math.min(1, Math.max(0, (images.logOdds[number] - low) / (high - low || 1))) * (MOST - 1));
    const colours = Array.from({ length: MOST }, (_, at) => heat(at / (MOST - 1)));
    return { of: share, colours, said: ["lowest score", ...new Array(MOST - 2).fill(""), "highest"] };
  }

  layers() {
    const { images, places } = this;
    const faint = pixel("#888888", 60);
    const layers = [];
    if (this.laid?.order !== images.order || this.laid.places !== places) { // a cut that is dragged moves no dot
      const isAll = images.order.length >= places.x.length;
      this.laid = { order: images.order, places, shown: placed(images.order, places), rest: isAll ? null : placed(Uint32Array.from(places.x.keys()), places) };
    }
    if (this.laid.rest) layers.push(layer(this.laid.rest, 1, faint));
    const { of, colours, said } = this.coloured();
    const shades = colours.map((colour) => pixel(colour));
    const size = images.order.length > 20_000 ? 2 : 4;
    layers.push(layer(this.laid.shown, size, (number) => shades[of(number)] ?? faint));
    if (images.selectedCount) {
      const accent = pixel(matchMedia("(prefers-color-scheme: dark)").matches ? "#ffffff" : "#000000");
      layers.push(layer(placed(images.order.filter((number) => images.selected[number]), places), size + 1, accent));
    }
    this.legend(said, colours);
    return layers;
  }

  draw() {
    const { canvas, places } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!places || !width || !height) return;
    Object.assign(canvas, { width, height });
    if (this.isStale) this.dots.show(this.layers());
    this.isStale = false;
    this.dots.draw({ ...this.frame(), width, height });
    if (this.grid.activeNumber !== undefined) {
      const [x, y] = this.place(this.grid.activeNumber);
      this.pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
      this.pen.lineWidth = 3;
      this.pen.strokeRect(x - 6, y - 6, 14, 14);
    }
  }

  legend(said, colours) {
    const key = said.join();
    if (this.legendKey === key) return;
    this.legendKey = key;
    const entries = said.map((text, at) => {
      const [entry, mark] = [document.createElement("span"), document.createElement("i")];
      mark.style.background = colours[at];
      entry.append(mark, text);
      return entry;
    });
    find("map-legend").replaceChildren(...entries);
  }

  look(zoom, middle) {
    this.zoom = Math.min(Math.max(zoom, 1), 200);
    this.middle = this.zoom === 1 ? [0, 0] : middle;
    this.seen();
  }

  wheel(event) {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY / 400);
    const [x, y] = this.at(event);
    const [dx, dy] = [(x - this.canvas.clientWidth / 2) / this.scale, (this.canvas.clientHeight / 2 - y) / this.scale];
    this.look(this.zoom * factor, [this.middle[0] + dx * (1 - 1 / factor), this.middle[1] + dy * (1 - 1 / factor)]);
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) this.look(this.zoom, this.middle.map((one, axis) => one + (step[axis] * 0.2) / this.zoom));
    else if (event.key === "+" || event.key === "-") this.look(this.zoom * (event.key === "+" ? 1.5 : 1 / 1.5), this.middle);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // A drag draws a lasso; with Shift it moves the map.
  press(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const path = [this.at(event)];
    const from = this.middle;
    const moves = event.shiftKey;
    const add = event.ctrlKey || event.metaKey;
    const moved = (next) => {
      const at = this.at(next);
      path.push(at);
      if (moves) {
        this.look(this.zoom, [from[0] - (at[0] - path[0][0]) / this.scale, from[1] + (at[1] - path[0][1]) / this.scale]);
      } else {
        const [[bx, by], [x, y]] = path.slice(-2);
        this.pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
        this.pen.lineWidth = 2;
        this.pen.beginPath();
        this.pen.moveTo(bx, by);
        this.pen.lineTo(x, y);
        this.pen.stroke();
      }
    };
    const ended = (next) => {
      this.canvas.removeEventListener("pointermove", moved);
      this.canvas.removeEventListener("pointerup", ended);
      this.canvas.removeEventListener("pointercancel", ended);
      if (next.type === "pointercancel" || moves) return;
      const wide = path.some(([x, y]) => Math.hypot(x - path[0][0], y - path[0][1]) > 5);
      if (wide) this.lasso(path, add);
      else this.choose(path[0], add);
    };
    this.canvas.addEventListener("pointermove", moved);
    this.canvas.addEventListener("pointerup", ended);
    this.canvas.addEventListener("pointercancel", ended);
  }

  lasso(path, add) {
    if (!this.places) return;
    const [low, high] = [Math.min, Math.max].map((of) => [0, 1].map((axis) => of(...path.map((one) => one[axis]))));
    const { scale, left, top } = this.frame();
    const { x: xs, y: ys } = this.places;
    const { order } = this.images;
    const found = [];
    const point = [0, 0];
    for (let at = 0; at < order.length; at += 1) {
      point[0] = left + xs[order[at]] * scale;
      point[1] = top - ys[order[at]] * scale;
      if (point[0] < low[0] || point[0] > high[0] || point[1] < low[1] || point[1] > high[1]) continue;
      if (isInside(path, point)) found.push(order[at]);
    }
    this.images.select(found, { add });
    if (found.length) this.grid.go(this.images.order.indexOf(found[0]));
  }

  nearest(at) {
    let [best, least] = [undefined, NEAR];
    const { scale, left, top } = this.frame();
    const { x: xs, y: ys } = this.places;
    for (const number of this.images.order) {
      const far = Math.max(Math.abs(left + xs[number] * scale - at[0]), Math.abs(top - ys[number] * scale - at[1]));
      if (far < least) [best, least] = [number, far];
    }
    return best;
  }

  choose(at, add) {
    const number = this.places && this.nearest(at);
    if (number === undefined) return;
    this.images.select([number], { add });
    this.grid.go(this.images.order.indexOf(number));
  }

  hover(event) {
    const at = this.at(event);
    const number = this.places && this.nearest(at);
    if (number === this.hovered) return;
    this.hovered = number;
    find("hover").hidden = number === undefined;
    if (number === undefined) return;
    const { style } = find("hover");
    style.left = `${Math.min(at[0] + 14, this.canvas.clientWidth - 150)}px`;
    style.top = `${Math.max(0, Math.min(at[1] + 14, this.canvas.clientHeight - 150))}px`;
    this.showHovered();
  }

  showHovered() {
    const card = this.images.card(this.hovered);
    find("hover-picture").hidden = !card;
    if (!card) return;
    find("hover-picture").src = `thumbnails/${card.image_id}`;
    find("hover-name").textContent = card.name;
  }
}
