// What waits to be sent, kept by the browser, so that a page of another server of the same workspace and reviewer can
// send it: at the same port, since browsers keep things by host and port. Images have their ids there, for numbers are
// those of one server.

const TAB = crypto.randomUUID();
const ID = 32; // hexadecimal digits of an id

// Storage that may be full, or forbidden: then nothing is kept.
function attempt(act) {
  try {
    return act();
  } catch {
    return undefined;
  }
}

export class Kept {
  is = false; // whether all that waits is kept
  began = false;

  // taken: called with the names of actions that another page has taken over.
  constructor(images, taken) {
    this.images = images;
    addEventListener("storage", (event) => {
      const names = event.key === this.key && event.newValue && JSON.parse(event.newValue).taken;
      if (names) taken(new Set(names));
    });
  }

  // What the server says of itself: which server it is, and whose decisions it takes.
  meet({ session, queue }) {
    Object.assign(this, { session, prefix: `curator ${queue} ` });
    this.key = this.prefix + TAB;
  }

  put(actions) {
    const { ids } = this.images;
    const isNamed = ids && actions.every(({ numbers = [] }) => numbers.every((number) => 4 * number < ids.length));
    this.is = Boolean(this.key && isNamed && attempt(() => {
      const written = actions.map(({ numbers, ...said }) => ({ ...said, ids: numbers?.map((number) => this.id(number)).join("") }));
      localStorage.setItem(this.key, JSON.stringify({ session: this.session, actions: written }));
      return true;
    }));
  }

  clear() {
    if (this.is) attempt(() => localStorage.removeItem(this.key));
    this.is = false;
  }

  id(number) {
    return Array.from(this.images.ids.subarray(4 * number, 4 * number + 4), (part) => part.toString(16).padStart(8, "0")).join("");
  }

  // What other pages left, by action, with the numbers that images have here. Of this very server only as the page begins:
  // later, who left it may still be there.
  take() {
    const found = [];
    const keys = attempt(() => Object.keys(localStorage)) ?? [];
    for (const key of keys.filter((one) => one.startsWith(this.prefix) && one !== this.key)) {
      const { taken, session, actions } = attempt(() => JSON.parse(localStorage.getItem(key))) ?? { taken: [] };
      if (taken) attempt(() => localStorage.removeItem(key));
      else if (session !== this.session || !this.began) {
        found.push(...actions);
        attempt(() => localStorage.setItem(key, JSON.stringify({ taken: actions.map((one) => one.action) })));
      }
    }
    this.began = true;
    return found.length ? this.numbered(found) : found;
  }

  numbered(actions) {
    const listed = actions.map(({ ids = "" }) => ids.match(new RegExp(`.{${ID}}`, "g")) ?? []);
    const wanted = new Set(listed.flat());
    const numbers = new Map();
    for (let number = 0; 4 * number < this.images.ids.length; number += 1) if (wanted.has(this.id(number))) numbers.set(this.id(number), number);
    return actions.map(({ ids, ...said }, at) => (ids === undefined ? said : { ...said, numbers: listed[at].map((id) => numbers.get(id)).filter((one) => one !== undefined) }));
  }
}
