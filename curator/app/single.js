// One image in a dialog: large, with why it is judged so, what is near it, and what became of it.

import { ask } from "./api.js";
import { element, short, table } from "./parts.js";

const find = (id) => document.getElementById(id);
const when = (value) => (value ?? "").slice(0, 16);
const judged = (flagged) => (flagged === null || flagged === undefined ? "not judged" : flagged ? "OOD" : "ID");

// Which cut would turn the verdict.
function otherCut({ flagged, log_odds: scored, min_log_odds: cut }) {
  if (typeof cut !== "number" || typeof scored !== "number" || typeof flagged !== "boolean") return "";
  return flagged ? `; a cut of ${short(scored)} or lower would keep it` : `; a cut above ${short(scored)} would flag it`;
}

// What a card says of it as well.
function judgement({ uri, flagged, id_score: score, log_odds: scored, min_log_odds: cut }) {
  const said = `${judged(flagged)}: id_score ${short(score)}, log-odds ${short(scored)}, cut ${short(cut)}`;
  return [element("p", uri, "address"), element("p", said)];
}

// Small pictures, each with what is said of it.
function pictures(images, said, empty) {
  if (!images.length) return element("p", empty);
  const list = element("ul", undefined, "pictures");
  for (const image of images) {
    const [entry, picture] = [element("li"), element("img")];
    picture.src = `thumbnails/${image.image_id}`;
    picture.alt = image.uri?.split("/").pop() ?? "an image";
    picture.title = image.uri ?? "";
    picture.loading = "lazy";
    entry.append(picture, element("span", said(image)));
    list.append(entry);
  }
  return list;
}

function origin(label) {
  const made = element("div", label.source);
  if (!label.made_by) return made;
  const { concerns, model, output, asked_about: shown } = label.made_by;
  made.textContent = [label.source, concerns && `about ${concerns}`, model].filter(Boolean).join(", ");
  if (output) made.append(element("blockquote", output.slice(0, 400)));
  if (shown.length) made.append(pictures(shown.slice(0, 4), () => "", ""));
  return made;
}

export class Single {
  constructor({ images, grid }) {
    Object.assign(this, { images, grid });
    this.dialog = find("single");
    images.addEventListener("decision", () => this.isOpen && this.tell());
  }

  get isOpen() {
    return this.dialog.open;
  }

  // by: 1 or -1, the way that the user goes: what is next on it is asked for before it is wanted.
  async open(number = this.grid.activeNumber, by = 1) {
    if (number === undefined) return;
    const card = this.images.cards.get(number);
    this.number = number;
    this.tell();
    this.name(card);
    find("single-facts").replaceChildren(...(card ? judgement({ ...card, min_log_odds: card.cut }) : []), element("p", "Looking …"));
    if (!this.dialog.open) this.dialog.showModal();
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const found = await this.explained(number);
      if (turn !== this.turn) return;
      this.show(found);
      this.explained(this.images.order[this.images.order.indexOf(number) + by]);
    } catch (fault) {
      if (turn === this.turn) find("single-facts").replaceChildren(element("p", `Not explained: ${fault.message}`));
    }
  }

  // Why an image is judged so, of the one that was asked for last perhaps already here; of a new snapshot asked anew.
  explained(number) {
    if (number === undefined) return undefined;
    const { decision: snapshot } = this.images; // the columns are new ones then
    if (this.asked?.number !== number || this.asked.snapshot !== snapshot) {
      this.asked = { number, snapshot, found: ask("single", { number }) };
      this.asked.found.catch(() => { this.asked = undefined; }); // asked again then
    }
    return this.asked.found;
  }

  tell() {
    find("single-state").textContent = this.images.said(this.number) || "Not decided";
  }

  // What it is called, and its picture: by its card, or where that is not here by what was found.
  name(image) {
    const address = image ? `pictures/${image.image_id}` : "";
    find("single-title").textContent = image?.name ?? "";
    find("single-picture").alt = image ? `${image.name}: ${image.uri.split("/").pop()}` : "";
    if (find("single-picture").getAttribute("src") !== address) find("single-picture").src = address;
  }

  show(found) {
    this.name(found);
    const parts = [
      ...judgement(found),
      element("p", `Policy ${found.policy ?? "none"}, bank ${found.bank}`),
      element("p", `What would change that: ${found.verdict}${otherCut(found)}`),
      element("h3", "Labels near it"),
      table(["label", "role", "cosine", "share", "score without it", "", "from"],
        found.labels.map((label) => [label.label, label.role, label.cosine, label.share, label.id_score_without,
          label.decides ? "decides" : label.changes_flag ? "would turn it" : "", origin(label)]), "none"),
      element("h3", "Nearest ID reference images"),
      pictures(found.reference, (image) => short(image.cosine), "there is no reference"),
      element("h3", "Nearest images of the lake"),
      pictures(found.neighbours, (image) => `${image.name ?? ""} ${short(image.cosine)}, ${judged(image.flagged)}`, "none"),
      element("h3", "Under banks, methods and policies"),
      table(["bank", "method", "log-odds", "policy", "cut", "says", "scored"],
        found.history.map((row) => [row.bank, row.method_id, row.log_odds, row.policy, row.cut, judged(row.flagged), when(row.scored_at)]), "none"),
      element("h3", "Seen"),
      table(["where", "when", ""], found.sightings.map((row) => [row.uri, when(row.seen_at), row.gone ? "gone" : "there"]), "nowhere"),
      element("h3", "Decided"),
      table(["decision", "wrong label", "note", "by", "when"],
        found.reviews.map((row) => [row.decision, row.wrong_label ?? "", row.note ?? "", row.reviewer, when(row.reviewed_at)]), "nothing recorded yet"),
    ];
    find("single-facts").replaceChildren(...parts);
  }

  // Another image, with the dialog open; a new view may have taken the place of the one that is shown.
  step(by) {
    const place = this.images.order.indexOf(this.number);
    this.grid.go(place < 0 ? this.grid.active : place + by);
    this.open(this.grid.activeNumber, by);
  }
}
