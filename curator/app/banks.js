// Banks: what a version holds and what its labels decide, two versions side by side, one proposed from decisions.

import { ask, get } from "./api.js";
import { button, element, plural, table, whole } from "./parts.js";

const LOOK = 400; // milliseconds between looks at the work that is under way
const SHOWN = 30; // labels that are listed at once of what changed

const share = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "");

function field(text, control) {
  const label = element("label", `${text} `);
  label.append(control);
  return label;
}

export class View {
  constructor(root, { complain, showFound }) {
    Object.assign(this, { complain, showFound });
    this.old = element("select");
    this.new = element("select");
    this.text = Object.assign(element("input"), { type: "search", maxLength: 100, placeholder: "any" });
    this.name = Object.assign(element("input"), { maxLength: 100, autocomplete: "off" });
    [this.held, this.beside, this.work] = ["div", "div", "div"].map((tag) => element(tag));
    this.said = element("p");
    this.said.setAttribute("role", "status");
    this.bar = element("progress");
    this.bar.setAttribute("aria-label", "The work that is under way");
    this.stop = button("Stop", () => ask("stop", {}).catch((fault) => complain(fault.message)));
    for (const part of [this.bar, this.stop]) part.hidden = true;
    const choose = element("form");
    choose.append(field("Version", this.old), field("Beside", this.new), field("Labels with", this.text));
    choose.addEventListener("submit", (event) => event.preventDefault());
    const propose = element("form");
    this.begin = element("button", "Propose from decisions");
    propose.append(this.begin, field("as bank", this.name), this.stop);
    propose.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start("propose", { parent: this.old.value, name: this.name.value.trim(), build: false });
    });
    this.old.addEventListener("change", () => this.choose());
    this.new.addEventListener("change", () => this.compare());
    this.text.addEventListener("change", () => this.hold());
    root.append(choose, propose, this.bar, this.said, this.work, this.beside, this.held);
  }

  get version() {
    return this.versions.find((version) => version.address === this.old.value);
  }

  // Versions as they are now; what is chosen stays.
  async show() {
    const { versions } = await get("banks");
    this.versions = versions;
    const chosen = [this.old.value, this.new.value];
    const options = () => versions.map((version) => new Option(`${version.name} v${version.version}${version.rules ? ", rules" : ""}`, version.address));
    this.old.replaceChildren(...options());
    this.new.replaceChildren(new Option("none", ""), ...options());
    [this.old, this.new].forEach((select, which) => {
      if (versions.some((version) => version.address === chosen[which])) select.value = chosen[which];
    });
    await this.choose();
    this.look();
  }

  async choose() {
    this.name.placeholder = this.version ? `${this.version.name}-reviewed` : "";
    await Promise.all([this.hold(), this.compare()]);
  }

  // The newest of what is asked for a place is what it shows.
  async fill(place, asked, shown) {
    const turn = (place.turn = (place.turn ?? 0) + 1);
    try {
      const parts = shown(await asked());
      if (turn === place.turn) place.replaceChildren(...parts);
    } catch (fault) {
      if (turn === place.turn) place.replaceChildren(element("p", fault.message));
    }
  }

  hold() {
    const { version } = this;
    if (!version) return undefined;
    return this.fill(this.held, () => ask("bank", { bank: version.address, text: this.text.value.trim() }), (found) => this.holds(version, found));
  }

  holds(version, { sources, labels, found, guard }) {
    const scored = version.scored
      ? `images are scored by ${version.method}, ${version.policy_name ? `judged by policy ${version.policy_name}` : "judged by no policy"}`
      : "no image was scored under it";
    const facts = element("p", `${plural(version.id_count, "ID label")} and ${plural(version.negative_count, "negative")}, made ${version.created_at.slice(0, 16)}; ${scored}.`);
    const parts = [facts];
    if (guard) parts.push(element("p", `Guard: ${guard}.`));
    if (!version.scored) parts.push(button(`Score the lake under it, by ${version.suited}`, () => this.start("score", { bank: version.address })));
    const [bySource, byLabel] = [element("section"), element("section")];
    bySource.append(
      element("h3", "By source"),
      table(["labels", "from", "how many", "of them decide", "images decided"],
        sources.map((row) => [row.role === "id" ? "ID" : "negative", row.source, whole(row.labels), `${whole(row.deciding)} (${share(row.deciding, row.labels)})`, whole(row.images)]), "It has no labels."),
      element("p", "A flagged image is decided by the negative nearest to it, one that is kept by the nearest ID label."));
    byLabel.append(
      element("h3", found > labels.length ? `The ${whole(labels.length)} labels that decide most, of ${whole(found)}` : plural(found, "label")),
      table(["label", "", "from", "images decided"],
        labels.map((row) => [row.text, row.role === "id" ? "ID" : "negative", row.source, row.images ? this.decided(version, row) : "none"]), "None has that text."));
    const sides = element("div", undefined, "sides");
    sides.append(bySource, byLabel);
    return [...parts, sides];
  }

  decided(version, row) {
    const act = () => this.showImages(async () => (await ask("decided", { bank: version.address, role: row.role, label: row.text })).numbers,
      `Decided by the ${row.role === "id" ? "ID label" : "negative"} “${row.text}”`);
    return button(whole(row.images), act, `Show the ${plural(row.images, "image")} that ${row.text} decides`);
  }

  async showImages(numbers, said) {
    try {
      await this.showFound(await numbers(), said);
    } catch (fault) {
      this.complain(fault.message);
    }
  }

  // equal: both at the cut of the older; undefined: as it is fair.
  compare(equal) {
    const [old, other] = [this.version, this.versions.find((version) => version.address === this.new.value)];
    if (!old || !other || old === other) {
      this.beside.turn = (this.beside.turn ?? 0) + 1;
      this.beside.replaceChildren();
      return undefined;
    }
    if (equal === undefined) this.beside.replaceChildren(element("p", "Comparing …"));
    return this.fill(this.beside, () => ask("compare", { old: old.address, new: other.address, equal }), (found) => this.compared(old, other, found)).then(() => {
      if (equal !== undefined) this.beside.querySelector("input")?.focus(); // the one that was pressed
    });
  }

  compared(old, other, { counts, changes, spec, note, images, cut, equal, changed }) {
    const called = (version) => `${version.name} v${version.version}`;
    const parts = [element("h3", `${called(other)} beside ${called(old)}`)];
    const facts = [["ID labels", "id_count"], ["negatives", "negative_count"], ["method", "method"], ["policy", "policy_name"]];
    parts.push(table(["", called(old), called(other)], facts.map(([text, key]) => [text, ...[old, other].map((version) => (version[key] === null ? "none" : String(version[key])))]), ""));
    if (note) parts.push(element("p", note));
    else {
      parts.push(element("p", `${plural(images, "image")} of the lake scored under both.`));
      if (cut !== null) parts.push(this.terms(old, cut, equal));
      const sides = element("div", undefined, "sides");
      sides.append(this.side(`only ${called(other)} flags`, changed.flagged), this.side(`only ${called(old)} flags`, changed.kept));
      parts.push(sides);
    }
    const listed = (change) => changes.filter((one) => one.change === change);
    const came = element("div", undefined, "sides");
    for (const [change, text] of [["added", "came"], ["removed", "went"], ["role", "changed role"], ["prompt", "changed prompt"]]) {
      const count = counts[change].id + counts[change].negative;
      if (!count) continue;
      const list = element("details");
      list.open = count <= SHOWN;
      const shown = listed(change);
      list.append(element("summary", `${plural(count, "label")} ${text}`), table(["label", ""], shown.map((one) => [one.label, one.role === "id" ? "ID" : "negative"]), ""));
      if (shown.length < count) list.append(element("p", `${whole(count - shown.length)} more are listed by curator bank diff.`));
      came.append(list);
    }
    parts.push(came.children.length ? came : element("p", "Both have the same labels."));
    const keys = Object.entries(spec);
    if (keys.length) {
      const list = element("details");
      list.append(element("summary", `${plural(keys.length, "line")} of the spec differ`), table(["key", called(old), called(other)], keys.map(([key, values]) => [key, ...values]), ""));
      parts.push(list);
    }
    return parts;
  }

  // Whether both are held to one cut: else what changes may be of their policies, not of their labels.
  terms(old, cut, equal) {
    const box = Object.assign(element("input"), { type: "checkbox", checked: equal });
    box.addEventListener("change", () => this.compare(box.checked));
    const label = element("label");
    label.append(box, ` both at the cut of ${old.name} v${old.version} (log-odds ${cut.toPrecision(4)}), not each at that of its policy`);
    return label;
  }

  // Images that one version alone flags, and the negatives behind that.
  side(text, { numbers, labels }) {
    const part = element("section");
    const said = `Images that ${text}`;
    const head = element("h3", `${plural(numbers.length, "image")} that ${text} `);
    if (numbers.length) head.append(button("Show", () => this.showImages(() => numbers, said), `Show the ${plural(numbers.length, "image")} that ${text}`));
    part.append(head);
    if (labels.length) part.append(table(["by the negative", "images"], labels.map(([label, count]) => [label, whole(count)]), ""));
    return part;
  }

  async start(what, said) {
    this.said.textContent = "Beginning …";
    try {
      await ask(what, said);
      this.look();
    } catch (fault) {
      this.said.textContent = fault.message;
    }
  }

  // Look at the work until nothing is under way.
  async look() {
    clearTimeout(this.timer);
    try {
      const work = await get("work");
      const isBusy = work.state === "under way";
      for (const part of [this.bar, this.stop]) part.hidden = !isBusy;
      this.begin.disabled = isBusy;
      if (isBusy) {
        this.said.textContent = `Under way: ${work.name}${work.said ? `: ${work.said}` : ""}, ${Math.round(work.seconds)} s`;
        this.timer = setTimeout(() => this.look(), LOOK);
      } else if (work.number !== this.told) {
        this.told = work.number;
        this.tell(work);
      }
    } catch (fault) {
      this.said.textContent = fault.message;
    }
  }

  tell({ name, state, said, note, result }) {
    if (state === "none") return;
    this.said.textContent = state === "failed" ? `Not done: ${name}: ${said}` : `Done: ${name}.${note ? ` Note: ${note}.` : ""}`;
    this.work.replaceChildren();
    if (state === "done" && result.candidates) this.work.append(...this.proposed(result));
    if (state === "done" && (result.scorings || result.built)) this.show();
  }

  proposed(found) {
    const judged = (figures) => `${whole(figures.id_flagged)} of ${plural(figures.id_count, "ID image")} and ${whole(figures.ood_flagged)} of ${plural(figures.ood_count, "OOD image")} flagged${figures.auroc === null ? "" : `, AUROC ${figures.auroc.toFixed(4)}`}`;
    const parts = [];
    const verdict = found.verdict ? `Refused: ${found.verdict}.`
      : found.before ? "The proposal makes nothing worse." : `Nothing is proposed${found.advice ? `: ${found.advice}` : ""}.`;
    parts.push(element("p", verdict, `verdict${found.verdict ? " refused" : ""}`));
    if (found.built) parts.push(element("p", `Built: ${found.built.slice(0, found.built.indexOf("@") + 13)}. Choose it beside ${found.parent.split("@")[0]} to see what changes.`));
    parts.push(element("p", `${plural(found.reviewed, "reviewed image")} and ${plural(found.reference, "reference image")} speak about ${found.parent.slice(0, found.parent.indexOf("@") + 13)}, by ${found.method}.`));
    if (found.before) parts.push(element("p", `Before: ${judged(found.before)}. After: ${judged(found.after)}.${found.held_out ? "" : " With few reviews it is judged on the images that it was made from."}`));
    if (found.before && !found.verdict && !found.built) parts.push(button(`Build ${found.name}`, () => this.start("propose", { parent: found.parent, name: found.name, build: true })));
    parts.push(table(["", "label", "why", "groups for it", "against it", "what becomes of it", "images"],
      found.candidates.map((item) => [item.action, item.label, item.why, whole(item.witnesses), whole(item.against), this.outcome(item), item.numbers.length ? this.evidence(item) : "none"]), ""));
    if (found.spec) {
      const spec = element("details");
      spec.append(element("summary", "The spec of the new bank"), element("pre", found.spec));
      parts.push(spec);
    }
    return parts;
  }

  outcome(item) {
    const made = element("div", item.outcome || "proposed");
    if (item.cost) made.append(element("div", item.cost));
    if (item.needs) made.append(element("div", `it takes: ${item.needs}`));
    return made;
  }

  evidence(item) {
    return button(whole(item.numbers.length), () => this.showImages(() => item.numbers, `Evidence to ${item.action} “${item.label}”`),
      `Show the ${plural(item.numbers.length, "image")} that speak to ${item.action} ${item.label}`);
  }
}
