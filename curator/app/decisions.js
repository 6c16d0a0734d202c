// Decisions: shown at once, sent one after the other in the order in which they were made, and none lost. What could not
// be sent stays in the queue and is tried again, and is kept for a page of the next server; leaving the page with
// something in it that is not kept is asked about.

import { ask } from "./api.js";
import { DECISIONS } from "./images.js";
import { Kept } from "./kept.js";

const AT_A_TIME = 100; // actions of one request
const MOST_NUMBERS = 200_000; // of one request
const AGAIN = 2000; // milliseconds
const MOST_RECALLED = 200_000; // numbers, of what undo takes back when the page is loaded again

// No server, another one than that of the page, or one whose disk is full: all waits. Else it refuses what it was sent.
const isPassing = ({ status }) => status === 0 || status === 403 || status >= 500;

export class Decisions extends EventTarget {
  waiting = [];
  sending = [];
  done = []; // what undo takes back, the newest last
  fault = "";
  isHeld = false; // what waits, until the server is there again
  suspects = 0; // so many are sent each by itself: one of them was refused
  ahead = 0; // milliseconds of the server's clock before that of this page
  last = 0;

  constructor(images) {
    super();
    this.images = images;
    this.kept = new Kept(images, (names) => this.taken(names));
    addEventListener("beforeunload", (event) => {
      if (this.open && !this.kept.is) event.preventDefault();
    });
    addEventListener("pagehide", () => this.flush());
  }

  get open() {
    return this.waiting.length + this.sending.length;
  }

  // A state that the server has just told.
  meet(state) {
    this.ahead = state.now - Date.now();
    this.kept.meet(state);
  }

  // Send what pages of earlier servers could not, as of when it was decided.
  async resume() {
    await this.images.identify();
    const found = this.kept.take();
    for (const action of found) {
      const late = { ...action, late: true };
      if (action.undo) this.takeBack(this.done.find((one) => one.action === action.undo), late);
      else this.begin(late);
    }
    if (found.length) this.keep(); // by this page, until they are sent
  }

  // Another page has taken these over.
  taken(names) {
    const isHere = (item) => !names.has(item.action.action);
    this.done = this.done.filter((one) => !names.has(one.action));
    [this.waiting, this.sending] = [this.waiting.filter(isHere), this.sending.filter(isHere)];
    this.fault = this.open ? this.fault : "the page at the new address has taken them over: go on there";
    this.changed();
  }

  // When something is done, by the clock of the server; no two at once, so that a decision is the same, sent twice.
  time() {
    this.last = Math.max(Math.round(Date.now() + this.ahead), this.last + 1);
    return this.last;
  }

  named() {
    return { action: crypto.randomUUID(), at: this.time() };
  }

  decide(numbers, decision, { note = null, wrongLabel = null } = {}) {
    this.begin({ ...this.named(), decision, numbers: [...numbers], groups: this.images.grouped, note, wrong_label: wrongLabel });
  }

  // Give a tag or take it off; what the cards say comes once the server has it.
  tag(numbers, tag, given) {
    this.begin({ ...this.named(), tag, given, numbers: [...numbers], groups: this.images.grouped });
  }

  begin(action) {
    const { numbers, groups } = action;
    const touched = this.images.touched(numbers, groups);
    const isKnown = this.done.some((one) => one.action === action.action);
    const did = (undoing) => isKnown || this.done.push({ action: action.action, first: numbers[0], ...undoing });
    if ("tag" in action) {
      did({ tagged: touched });
      this.push(action, { tagged: touched });
    } else {
      const before = touched.length ? Uint8Array.from(touched, (number) => this.images.decision[number]) : new Uint8Array();
      did({ numbers: touched, before });
      this.push(action, { numbers: touched, codes: DECISIONS.indexOf(action.decision) });
    }
  }

  // The newest of what undo takes back, as `recall` takes it.
  get undoable() {
    const found = [];
    let numbers = 0;
    for (const one of this.done.toReversed()) {
      numbers += (one.numbers ?? one.tagged).length;
      if (numbers > MOST_RECALLED) break;
      found.unshift(Object.fromEntries(Object.entries(one).map(([name, value]) => [name, ArrayBuffer.isView(value) ? [...value] : value])));
    }
    return found;
  }

  recall(undoable) {
    this.done = undoable;
    this.changed();
  }

  // The image that it was decided about, or the first of them.
  undo() {
    const last = this.done.at(-1);
    if (last) this.takeBack(last, { ...this.named(), undo: last.action });
    return last?.first;
  }

  takeBack(last, action) {
    this.done = this.done.filter((one) => one !== last);
    this.push(action, last?.tagged ? { tagged: last.tagged } : { numbers: last?.numbers, codes: last?.before });
  }

  push(action, shown) {
    this.waiting.push({ action, shown });
    this.show(shown);
    if (this.fault) this.keep();
    this.changed();
    this.drain();
  }

  keep() {
    this.kept.put([...this.sending, ...this.waiting].map((item) => item.action));
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
    const most = this.suspects > 0 ? 1 : AT_A_TIME;
    this.suspects -= 1;
    while (this.waiting.length && taken.length < most && (!taken.length || numbers < MOST_NUMBERS)) {
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
      if (this.suspects < 0 || this.isHeld) this.fault = ""; // else it tells of one that was sent by itself
      this.isHeld = false;
      if (!this.open) this.kept.clear();
      else if (this.kept.is) this.keep();
    } catch (fault) {
      await this.failed(fault);
    }
    this.changed();
    this.drain();
  }

  // Without a server, and where its disk is full, all waits; what it refuses is taken back and said, by itself.
  async failed(fault) {
    if (!this.open) return; // another page has taken them over
    this.fault = fault.message;
    this.isHeld = isPassing(fault);
    if (this.isHeld) {
      this.keep();
      const elsewhere = fault.status === 403 ? ": they are sent from there" : ` Started again with --port ${location.port}, its page sends them, too.`;
      this.fault += this.kept.is ? elsewhere : "; they are in this page only";
      this.changed();
      await new Promise((done) => setTimeout(done, AGAIN));
      this.waiting.unshift(...this.sending);
    } else if (this.sending.length > 1) {
      this.suspects = this.sending.length; // the server passes over what it has done already
      this.waiting.unshift(...this.sending);
    } else if (this.sending.length) this.drop(this.sending[0], fault);
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
    if (actions.length) this.keep(); // the next page finds out whether they arrived
    if (actions.length) ask("decisions", { actions }, { keepalive: true }).catch(() => {});
  }
}
