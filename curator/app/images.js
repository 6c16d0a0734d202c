// What the page knows of the images: columns by number, the order that is shown, what is selected, and cards.

import { ask, askPacked, getPacked } from "./api.js";

export const DECISIONS = ["", "id", "ood", "unsure", "bad_image", "disputed"];
export const SAID = ["", "ID", "OOD", "unsure", "bad image", "disputed"];
const MOST_CARDS = 5000; // that are kept

export class Images extends EventTarget {
  order = new Uint32Array();
  base = this.order;
  only = null;
  selected = new Uint8Array();
  selectedCount = 0;
  follows = false; // whether what is selected is the active image alone, by a plain click: another one takes its place
  decision = new Uint8Array();
  flagged = new Uint8Array();
  grouped = false;
  isGrouping = true; // whether clusters of these images are still to come
  cards = new Map();
  wanted = new Set();
  turns = 0;

  changed(name) {
    this.dispatchEvent(new Event(name));
  }

  // Columns of a snapshot. Decisions that are on their way are put over them again by whoever sends them.
  async load() {
    const found = await getPacked("columns");
    const selected = new Uint8Array(found.decision.length);
    selected.set(this.selected.subarray(0, selected.length));
    Object.assign(this, found, { selected, ruled: found.flagged });
    this.cards.clear();
    this.changed("decision");
  }

  // Ids of images, by number: four numbers each. They wait until there is time.
  async identify() {
    if ((this.ids?.length ?? 0) < 4 * this.decision.length) ({ ids: this.ids } = await getPacked("ids"));
  }

  // Whether clusters are still to come, as the server says.
  settle(isGrouping) {
    this.isGrouping = isGrouping;
    if (!isGrouping) this.changed("grouped");
  }

  // Show a view, unless another is asked for meanwhile. again: the view that is shown, of a new snapshot.
  async show(view, { again = false } = {}) {
    const turn = (this.turns += 1);
    const found = await askPacked("view", view).catch((fault) => {
      if (turn === this.turns) throw fault;
    });
    if (turn !== this.turns) return;
    this.base = found.numbers;
    this.grouped = Boolean(view.groups);
    this.narrow(true, again);
  }

  // Flags as another cut would have them; null: as they are. `only`: show flagged ones, or kept ones, alone.
  try(cut, only = null) {
    this.ruled ??= this.flagged;
    if (cut === null) this.flagged = this.ruled;
    else {
      this.flagged = new Uint8Array(this.logOdds.length);
      for (let number = 0; number < this.flagged.length; number += 1) this.flagged[number] = this.logOdds[number] < cut ? 1 : 0;
    }
    this.only = only;
    this.narrow(false);
  }

  // What was decided about an image.
  said(number) {
    const code = number === undefined ? 0 : this.decision[number];
    return code ? `Decided: ${SAID[code]}` : "";
  }

  flaggedAmong(numbers) {
    let count = 0;
    for (const number of numbers) count += this.flagged[number];
    return count;
  }

  // The order that is shown, of what the view has, with what is selected in it. stays: what is active stays so.
  narrow(anew = true, stays = !anew) {
    const wanted = this.only === true ? 1 : 0;
    const before = this.order;
    this.order = this.only === null ? this.base : this.base.filter((number) => this.flagged[number] === wanted);
    if (!anew && this.order.length === before.length && this.order === this.base) {
      this.changed("decision");
      return;
    }
    const kept = new Uint8Array(this.selected.length);
    let count = 0;
    for (const number of this.order) if (this.selected[number]) count += (kept[number] = 1);
    this.selected = kept;
    this.selectedCount = count;
    this.dispatchEvent(new CustomEvent("order", { detail: { before, stays } }));
    this.changed("selection");
  }

  // Numbers to be selected in place of, or beside, what is.
  select(numbers, { add = false, follows = false } = {}) {
    if (!add) this.selected.fill(0);
    for (const number of numbers) this.selected[number] = 1;
    this.recount(follows);
  }

  toggle(number) {
    this.selected[number] ^= 1;
    this.recount(false);
  }

  recount(follows) {
    let count = 0;
    for (const one of this.selected) count += one;
    this.selectedCount = count;
    this.follows = follows;
    this.changed("selection");
  }

  chosen() {
    const found = [];
    for (const number of this.order) if (this.selected[number]) found.push(number);
    return found;
  }

  // Those of the order that have the same value in a column as one image.
  alike(column, number) {
    const values = this[column];
    return values ? this.order.filter((other) => values[other] === values[number]) : [];
  }

  // All images that a decision about these would be about.
  touched(numbers, byGroup) {
    if (!byGroup) return Uint32Array.from(numbers);
    const groups = new Set(numbers.map((number) => this.group[number]));
    const found = [];
    for (let number = 0; number < this.group.length; number += 1) if (groups.has(this.group[number])) found.push(number);
    return Uint32Array.from(found);
  }

  decide(numbers, codes) {
    for (let place = 0; place < numbers.length; place += 1) {
      this.decision[numbers[place]] = typeof codes === "number" ? codes : codes[place];
    }
    this.changed("decision");
  }

  // Tags have changed: what the cards say of these images is asked for again.
  retag(numbers) {
    for (const number of numbers) this.cards.delete(number);
    this.changed("tags");
    this.changed("cards");
  }

  // The card of an image if it is here; else it comes, and `cards` is said.
  card(number) {
    const found = this.cards.get(number);
    if (!found) {
      if (!this.wanted.size) setTimeout(() => this.fetchCards(), 8);
      this.wanted.add(number);
    }
    return found;
  }

  async fetchCards() {
    const numbers = [...this.wanted].slice(-600); // what was asked for last is what is in sight
    this.wanted.clear();
    try {
      const { cards } = await ask("cards", { numbers });
      if (this.cards.size > MOST_CARDS) this.cards.clear();
      for (const card of cards) this.cards.set(card.number, card);
      this.changed("cards");
    } catch (fault) {
      this.dispatchEvent(new CustomEvent("fault", { detail: fault }));
    }
  }
}
