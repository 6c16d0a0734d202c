// Piles: the flags that nobody has decided, one cluster after the other, as many at once as are in sight. What is decided
// is what is selected; what was let go of is the next pile, and then comes what the cluster, or the next one, still has.

import { DECISIONS } from "./images.js";
import { whole } from "./parts.js";

const OPEN = new Set([0, DECISIONS.indexOf("disputed")]);

export class Piles {
  on = false;
  isAsked = false; // and waits for the clusters
  pile = [];

  constructor({ images, grid, filters, show }) {
    Object.assign(this, { images, grid, filters, show, note: document.getElementById("pile") });
    images.addEventListener("decision", () => this.on && this.tell());
    images.addEventListener("order", () => this.on && this.tell());
    images.addEventListener("grouped", () => this.isAsked && this.begin());
  }

  isOpen(number) {
    return OPEN.has(this.images.decision[number]);
  }

  // Clusters are made after each night; where none can be, what is called the same is a pile.
  async begin() {
    this.end();
    if (this.images.isGrouping) {
      this.isAsked = true;
      return this.say("Grouping what looks alike …");
    }
    const asked = { flagged: "yes", reviewed: "open", sort: this.images.cluster ? "cluster" : "name", descending: false, groups: true };
    for (const [name, value] of Object.entries(asked)) this.filters.set(name, value);
    await this.show();
    this.on = this.grid.toggles = true;
    this.pile = [];
    return this.next();
  }

  end() {
    this.on = this.isAsked = this.grid.toggles = false;
    this.note.hidden = true;
  }

  // Select the next pile, after a decision or at the start.
  next() {
    const { images, grid } = this;
    const rest = this.pile.filter((number) => this.isOpen(number));
    const first = images.order.findIndex((number) => (rest.length ? number === rest[0] : this.isOpen(number)));
    this.pile = first < 0 ? [] : rest.length ? rest : this.inSight(first);
    images.select(this.pile);
    if (first >= 0) grid.go(first, { atTop: true });
    this.tell();
  }

  // What is open of the cluster of an image, from it to the end of the last row that fits below it.
  inSight(first) {
    const { images, grid } = this;
    const cluster = (number) => (images.cluster ?? images.name)[number];
    const until = (Math.floor(first / grid.columns) + grid.rows) * grid.columns;
    const found = [];
    for (const number of images.order.subarray(first, until)) {
      if (cluster(number) !== cluster(images.order[first])) break;
      if (this.isOpen(number)) found.push(number);
    }
    return found;
  }

  tell() {
    const left = this.images.order.reduce((count, number) => count + (this.isOpen(number) ? 1 : 0), 0);
    const cluster = this.images.clusterNames?.[this.images.cluster?.[this.pile[0]]];
    const text = this.pile.length && left
      ? `${whole(left)} to decide. This pile has ${whole(this.pile.length)}${cluster ? ` of “${cluster}”` : ""}: let go of what differs (Space, or a click), decide the rest, and the next opens.`
      : this.images.order.length ? "All flags that are shown here are decided."
        : this.images.flagged.includes(1) ? "No flag that is not decided is shown here." : "No image is flagged.";
    this.say(text);
  }

  say(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.hidden = false;
  }
}
