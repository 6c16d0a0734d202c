// The grid: a list box of which only what is in sight is in the page. Selects by click, shift, drag and lasso.

import { SAID } from "./images.js";
import { short } from "./parts.js";

const CAPTION = 24; // pixels below the picture
const BEYOND = 2; // rows that are ready above and below
const ROOMY = 112; // pixels of a picture below which there is room for the name alone
const DRAGGED = 5; // pixels from which a press is a drag
const EDGE = 40; // pixels from an edge where a drag scrolls

function made(tag, className) {
  const found = document.createElement(tag);
  if (className) found.className = className;
  return found;
}

export class Grid {
  active = 0;
  anchor = 0;
  size = 128;
  columns = 1;
  lasso = false;
  toggles = false; // whether a click adds an image to what is selected, or lets go of it

  constructor(root, images) {
    this.root = root;
    this.space = root.querySelector("#space");
    this.images = images;
    this.pool = [];
    this.drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.drawn.id = "drawn";
    this.drawn.setAttribute("aria-hidden", "true");
    this.drawn.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    this.space.append(this.drawn);
    root.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.arrange()).observe(root);
    for (const name of ["decision", "selection", "cards"]) images.addEventListener(name, () => this.soon());
    images.addEventListener("order", ({ detail }) => this.begin(detail));
    this.space.addEventListener("pointerdown", (event) => this.press(event));
    this.space.addEventListener("dblclick", (event) => {
      if (this.indexAt(event) !== null) this.root.dispatchEvent(new Event("open"));
    });
  }

  get activeNumber() {
    return this.images.order[this.active];
  }

  resize(size) {
    this.size = size;
    this.arrange();
    this.reveal(this.active);
  }

  arrange() {
    const width = (this.width = this.root.clientWidth);
    if (!width) return; // it is not shown
    this.columns = Math.max(1, Math.floor(width / this.size));
    this.root.classList.toggle("tight", this.size < ROOMY);
    this.cellWidth = width / this.columns;
    this.cellHeight = this.size + CAPTION;
    this.space.style.height = `${Math.ceil(this.images.order.length / this.columns) * this.cellHeight}px`;
    for (const cell of this.pool) cell.index = -1;
    this.soon();
  }

  // An order begins at its first image; where what is active stays so, it stays where it is on the screen, too.
  begin({ before, stays }) {
    const place = stays ? this.images.order.indexOf(before[this.active]) : -1;
    const rows = Math.floor(place / this.columns) - Math.floor(this.active / this.columns);
    const top = place < 0 ? 0 : this.root.scrollTop + rows * this.cellHeight;
    this.active = this.anchor = Math.max(place, 0);
    this.arrange();
    this.root.scrollTop = top;
    this.activated();
  }

  soon() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.render();
    });
  }

  render() {
    if (this.root.clientWidth !== this.width) this.arrange();
    if (!this.width) return;
    const { order } = this.images;
    const first = Math.max(0, Math.floor(this.root.scrollTop / this.cellHeight) - BEYOND) * this.columns;
    const rows = Math.ceil(this.root.clientHeight / this.cellHeight) + 2 * BEYOND + 1;
    const count = rows * this.columns;
    while (this.pool.length < count) this.pool.push(this.makeCell());
    while (this.pool.length > count) this.pool.pop().root.remove();
    for (let index = first; index < first + count; index += 1) {
      const cell = this.pool[index % count];
      if (index >= order.length) {
        cell.root.hidden = true;
        cell.index = -1;
      } else this.fill(cell, index, order[index]);
    }
    const active = order.length ? `cell-${this.pool[this.active % count]?.key}` : "";
    if (this.pool[this.active % count]?.index === this.active) this.root.setAttribute("aria-activedescendant", active);
    else this.root.removeAttribute("aria-activedescendant");
  }

  makeCell() {
    const root = made("div", "cell");
    const cell = { root, img: made("img"), caption: made("span", "caption"), name: made("span", "name"), score: made("span", "score"),
      mark: made("span", "mark"), size: made("span", "size"), tags: made("span", "tags"), index: -1 };
    cell.key = this.made = (this.made ?? 0) + 1;
    root.id = `cell-${cell.key}`;
    root.setAttribute("role", "option");
    cell.img.alt = "";
    cell.img.draggable = false;
    cell.img.decoding = "async";
    cell.caption.append(cell.name, cell.score);
    root.append(cell.img, cell.caption, cell.mark, cell.size, cell.tags);
    this.space.insertBefore(root, this.drawn);
    return cell;
  }

  fill(cell, index, number) {
    const { root } = cell;
    const { images } = this;
    if (cell.index !== index) {
      const [row, column] = [Math.floor(index / this.columns), index % this.columns];
      root.style.width = `${this.cellWidth}px`;
      root.style.height = `${this.cellHeight}px`;
      root.style.transform = `translate(${column * this.cellWidth}px, ${row * this.cellHeight}px)`;
      root.setAttribute("aria-posinset", index + 1);
      root.setAttribute("aria-setsize", images.order.length);
      root.hidden = false;
      cell.index = index;
    }
    const card = images.card(number);
    const code = images.decision[number];
    const isSelected = images.selected[number] === 1;
    const key = `${number} ${card ? 1 : 0} ${code} ${isSelected} ${images.grouped} ${images.flagged[number]} ${card?.tags ?? ""}`;
    root.classList.toggle("active", index === this.active);
    if (cell.state === key) return;
    cell.state = key;
    root.setAttribute("aria-selected", isSelected);
    root.dataset.decision = code;
    root.dataset.flag = images.flagged[number];
    cell.mark.textContent = SAID[code];
    const size = images.grouped && images.groupSize[number] > 1 ? `× ${images.groupSize[number]}` : "";
    cell.size.textContent = size;
    cell.tags.textContent = card ? card.tags.join(", ") : "";
    const address = card ? `thumbnails/${card.image_id}` : "";
    if (cell.address !== address) {
      cell.address = address;
      cell.img.hidden = !address;
      if (address) cell.img.src = address;
      else cell.img.removeAttribute("src");
    }
    cell.name.textContent = card ? card.name : "";
    cell.score.textContent = card ? short(card.id_score) : "";
    const said = [card ? card.name : "loading", images.flagged[number] ? "flagged OOD" : "kept as ID"];
    if (code) said.push(`decided ${SAID[code]}`);
    if (size) said.push(`${images.groupSize[number]} alike`);
    if (card?.tags.length) said.push(`tagged ${card.tags.join(", ")}`);
    root.setAttribute("aria-label", said.join(", "));
  }

  // Make an image the active one. extend: select all from the anchor to it.
  go(index, { extend = false, keep = false, atTop = false } = {}) {
    const last = this.images.order.length - 1;
    if (last < 0) return;
    this.active = Math.min(Math.max(index, 0), last);
    if (extend) this.selectRange();
    else if (!keep) this.anchor = this.active;
    this.reveal(this.active);
    if (atTop) this.root.scrollTop = Math.floor(this.active / this.columns) * this.cellHeight;
    this.soon();
    this.activated();
  }

  // Another image is active; one that was selected by a plain click gives its place to it.
  activated() {
    const { images } = this;
    if (images.follows && images.selectedCount && !images.selected[this.activeNumber]) {
      images.select([this.activeNumber], { follows: true });
    }
    this.root.dispatchEvent(new Event("active"));
  }

  selectRange() {
    const [from, to] = [Math.min(this.anchor, this.active), Math.max(this.anchor, this.active)];
    this.images.select(this.images.order.subarray(from, to + 1));
  }

  reveal(index) {
    const top = Math.floor(index / this.columns) * this.cellHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    const bottom = top + this.cellHeight - this.root.clientHeight;
    if (bottom > this.root.scrollTop) this.root.scrollTop = bottom;
  }

  // Of whole cells that are in sight.
  get rows() {
    return Math.max(1, Math.floor(this.root.clientHeight / this.cellHeight));
  }

  get page() {
    return this.rows * this.columns;
  }

  setLasso(on) {
    this.lasso = on;
    this.root.classList.toggle("lasso", on);
  }

  // Where in the content a pointer is.
  point(event) {
    const box = this.space.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  indexAt(event) {
    const [x, y] = this.point(event);
    const column = Math.min(this.columns - 1, Math.max(0, Math.floor(x / this.cellWidth)));
    const index = Math.floor(y / this.cellHeight) * this.columns + column;
    return index >= 0 && index < this.images.order.length ? index : null;
  }

  press(event) {
    if (event.button !== 0) return;
    const isTouch = event.pointerType === "touch";
    this.root.focus({ preventScroll: true });
    const start = this.point(event);
    const add = event.ctrlKey || event.metaKey;
    const path = [start];
    let dragging = false;
    let last = event;
    const before = add ? this.images.selected.slice() : null;
    const moved = (next) => {
      last = next;
      const at = this.point(next);
      if (!dragging && Math.hypot(at[0] - start[0], at[1] - start[1]) < DRAGGED) return;
      if (isTouch && !this.lasso) return; // it scrolls
      if (!dragging) {
        dragging = true;
        this.space.setPointerCapture(event.pointerId);
        timer = setInterval(() => scrolled(), 30);
      }
      path.push(at);
      this.draw(path);
      if (!this.lasso) this.selectInside(path, before);
    };
    const scrolled = () => {
      const box = this.root.getBoundingClientRect();
      const step = last.clientY < box.top + EDGE ? -20 : last.clientY > box.bottom - EDGE ? 20 : 0;
      if (!step) return;
      this.root.scrollTop += step;
      moved(last);
    };
    let timer;
    const ended = (next) => {
      clearInterval(timer);
      this.space.removeEventListener("pointermove", moved);
      this.space.removeEventListener("pointerup", ended);
      this.space.removeEventListener("pointercancel", ended);
      this.draw([]);
      if (next.type === "pointercancel") return;
      if (dragging) {
        this.selectInside(path, before);
        const first = this.images.order.findIndex((number) => this.images.selected[number]);
        if (first >= 0) this.go(first);
      } else this.click(next, isTouch);
    };
    this.space.addEventListener("pointermove", moved);
    this.space.addEventListener("pointerup", ended);
    this.space.addEventListener("pointercancel", ended);
  }

  click(event, isTouch) {
    const index = this.indexAt(event);
    if (index === null) return;
    if (event.shiftKey) {
      this.go(index, { extend: true });
      return;
    }
    const number = this.images.order[index];
    if (event.ctrlKey || event.metaKey || isTouch || this.toggles) this.images.toggle(number);
    else this.images.select([number], { follows: true });
    this.go(index);
  }

  draw(path) {
    const shape = this.drawn.firstChild;
    if (path.length < 2) return shape.setAttribute("d", "");
    const [[x, y], [right, bottom]] = [path[0], path.at(-1)];
    const corners = this.lasso ? path : [[x, y], [right, y], [right, bottom], [x, bottom]];
    return shape.setAttribute("d", `M${corners.map((one) => one.map(Math.round).join(" ")).join("L")}Z`);
  }

  // The images of a rectangle by two corners, or of the polygon of a lasso.
  selectInside(path, before) {
    const { order } = this.images;
    const [xs, ys] = [0, 1].map((axis) => path.map((point) => point[axis]));
    const ends = (values) => (this.lasso ? [Math.min(...values), Math.max(...values)] : [values[0], values.at(-1)].sort((a, b) => a - b));
    const [[left, right], [top, bottom]] = [ends(xs), ends(ys)];
    const found = [];
    const lastRow = Math.floor(bottom / this.cellHeight);
    const lastColumn = Math.min(this.columns - 1, Math.floor(right / this.cellWidth));
    for (let row = Math.max(0, Math.floor(top / this.cellHeight)); row <= lastRow; row += 1) {
      for (let column = Math.max(0, Math.floor(left / this.cellWidth)); column <= lastColumn; column += 1) {
        const index = row * this.columns + column;
        if (index >= order.length) break;
        const centre = [(column + 0.5) * this.cellWidth, (row + 0.5) * this.cellHeight];
        if (!this.lasso || isInside(path, centre)) found.push(order[index]);
      }
    }
    if (before) this.images.selected.set(before);
    this.images.select(found, { add: Boolean(before) });
  }
}

// Whether a polygon holds a point, by the even-odd rule. Asked for every image of a lasso, so nothing is made in it.
export function isInside(polygon, point) {
  const x = point[0];
  const y = point[1];
  let inside = false;
  for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at, at += 1) {
    const a = polygon[at];
    const b = polygon[before];
    if (a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
  }
  return inside;
}
