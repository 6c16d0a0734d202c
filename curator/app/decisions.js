// Decisions: shown at once, sent one after the other in the order in which they were made, and none lost. What could not
// be sent stays in the queue and is tried again; leaving the page with something in it is asked about.

import { ask } from "./api.js";
import { DECISIONS } from "./images.js";

const AT_A_TIME = 100; // actions of one request
const MOST_NUMBERS = 200_000; // of one request
const AGAIN = 2000; // milliseconds

export class Decisions extends EventTarget {
  waiting = [];
  sending = [];
  done = []; // what undo takes back, the newest last
  fault = "";

  constructor(images) {
    super();
    this.images = images;
    addEventListener("beforeunload", (event) => {
      if (this.open) event.preventDefault();
    });
    addEventListener("pagehide", () => this.flush());
  }

  get open() {
    return this.waiting.length + this.sending.length;
  }

  decide(numbers, decision, { note = null, wrongLabel = null } = {}) {
    const groups = this.images.grouped;
    const touched = this.images.touched([...numbers], groups);
    const before = touched.length ? Uint8Array.from(touched, (number) => this.images.decision[number]) : new Uint8Array();
    const action = crypto.randomUUID();
    const code = DECISIONS.indexOf(decision);
    this.push({ action, decision, numbers: [...numbers], groups, note, wrong_label: wrongLabel }, { numbers: touched, codes: code });
    this.done.push({ action, numbers: touched, before, first: numbers[0] });
  }

  // Give a tag or take it off; what the cards say comes once the server has it.
  tag(numbers, tag, given) {
    const action = crypto.randomUUID();
    const touched = this.images.touched([...numbers], this.images.grouped);
    this.push({ action, tag, given, numbers: [...numbers], groups: this.images.grouped }, { tagged: touched });
    this.done.push({ action, tagged: touched, first: numbers[0] });
  }

  // The image that it was decided about, or the first of them.
  undo() {
    const last = this.done.pop();
    if (!last) return undefined;
    const shown = last.tagged ? { tagged: last.tagged } : { numbers: last.numbers, codes: last.before };
    this.push({ action: crypto.randomUUID(), undo: last.action }, shown);
    return last.first;
  }

  push(action, shown) {
    this.waiting.push({ action, shown });
    this.show(shown);
    this.changed();
    this.drain();
  }

  show({ numbers, codes }) {
    if (numbers) this.images.decide(numbers, codes);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  // Put what is on its way over the columns of a new snapshot.
  reapply() {
    for (const { shown } of [...this.sending, ...this.waiting]) this.show(shown);
  }

  take() {
    const taken = [];
    let numbers = 0;
    while (this.waiting.length && taken.length < AT_A_TIME && (!taken.length || numbers < MOST_NUMBERS)) {
      taken.push(this.waiting.shift());
      numbers += taken.at(-1).action.numbers?.length ?? 0;
    }
    return taken;
  }

  async drain() {
    if (this.sending.length || !this.waiting.length) return;
    this.sending = this.take();
    try {
      await ask("decisions", { actions: this.sending.map((item) => item.action) });
      const tagged = this.sending.flatMap((item) => [...(item.shown.tagged ?? [])]);
      if (tagged.length) this.images.retag(tagged);
      this.sending = [];
      this.fault = "";
    } catch (fault) {
      await this.failed(fault);
    }
    this.changed();
    this.drain();
  }

  // Without a server, and where its disk is full, all waits; what it refuses is taken back and said, by itself.
  async failed(fault) {
    this.fault = fault.message;
    const refused = this.sending;
    if (fault.status === 0 || fault.status >= 403) {
      this.changed();
      await new Promise((done) => setTimeout(done, AGAIN));
      this.waiting.unshift(...refused);
      this.sending = [];
      return;
    }
    if (refused.length > 1) {
      // One of them is at fault: each by itself. The server passes over what it has done already.
      this.sending = [];
      for (const item of refused) {
        this.sending = [item];
        await ask("decisions", { actions: [item.action] }).catch((one) => this.drop(item, one));
      }
    } else this.drop(refused[0], fault);
    this.sending = [];
  }

  drop(item, fault) {
    this.fault = fault.message;
    const place = this.done.findIndex((one) => one.action === item.action.action);
    if (place >= 0) {
      const [{ numbers, before }] = this.done.splice(place, 1);
      this.show({ numbers, codes: before });
    }
  }

  flush() {
    const actions = [...this.sending, ...this.waiting].map((item) => item.action);
    if (actions.length) ask("decisions", { actions }, { keepalive: true }).catch(() => {});
  }
}
