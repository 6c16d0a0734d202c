// The image that is active: large, with what is known of it, a note and a label that is wrong, for the next decision.

import { button, element, short } from "./parts.js";

const WAIT = 120; // milliseconds that an image is active before it is loaded large

const find = (id) => document.getElementById(id);

export class One {
  number = undefined; // of the image that is shown
  card = undefined;
  wrong = null;

  constructor(images) {
    this.images = images;
  }

  get note() {
    return find("note").value.trim() || null;
  }

  // Another image, or again what is said of it. A new snapshot brings cards anew: what was typed for the image stays.
  show(which) {
    const card = which === undefined ? undefined : this.images.cards.get(which);
    const isSame = which !== undefined && which === this.number;
    if (!isSame) this.forget();
    this.number = which;
    this.tell();
    if (isSame && (!card || card === this.card)) return;
    this.card = card;
    find("one-title").textContent = card ? card.name : "No image";
    find("one-address").textContent = card ? card.uri : "";
    this.picture(card);
    this.labels();
    find("one-facts").replaceChildren();
    if (!card) return;
    const facts = {
      "The policy says": card.flagged ? "OOD" : "ID",
      "id_score": short(card.id_score),
      "Log-odds": short(card.log_odds),
      "Cut": short(card.cut),
      "p-value": short(card.p_value),
      "Nearest ID label": card.top_id,
      "Nearest negative": card.top_negative ?? "none",
      "Images alike": this.images.groupSize[which],
      "Tags": card.tags.join(", ") || "none",
      "Label": card.source_label || "none",
      "Size": `${card.width} × ${card.height}`,
      "First seen": card.first_seen.slice(0, 16),
    };
    find("one-facts").append(...Object.entries(facts).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  }

  picture(card) {
    const address = card ? `pictures/${card.image_id}` : "";
    if (this.address === address) return;
    this.address = address;
    find("one-picture").style.visibility = "hidden"; // its place stays, so that nothing under it moves
    clearTimeout(this.timer);
    if (!card) return;
    this.timer = setTimeout(() => {
      find("one-picture").src = address;
      find("one-picture").alt = `${card.name}: ${card.uri.split("/").pop()}`;
      find("one-picture").style.visibility = "visible";
    }, WAIT);
  }

  tell() {
    find("one-state").textContent = this.wrong ? `Wrong label: ${this.wrong}. Now decide.` : this.images.said(this.number);
  }

  // Note and wrong label are said, or of another image.
  forget() {
    find("note").value = "";
    this.mark(null);
  }

  // The label that is marked is one of them, whatever the new snapshot has nearest.
  get candidates() {
    return this.card ? [...new Set([this.card.top_negative, this.card.top_id, this.wrong])].filter(Boolean) : [];
  }

  // Buttons that are the same stay, with the focus that one of them may have.
  labels() {
    const { candidates } = this;
    const { children } = find("labels");
    if ([...children].map((made) => made.textContent).join("\n") !== candidates.join("\n")) {
      find("labels").replaceChildren(...candidates.map((label) => button(label, () => this.mark(label === this.wrong ? null : label))));
    }
    for (const made of children) made.setAttribute("aria-pressed", made.textContent === this.wrong);
  }

  mark(label) {
    this.wrong = label;
    this.labels();
    this.tell();
  }

  cycleWrong() {
    const labels = this.candidates;
    this.mark(labels[labels.indexOf(this.wrong) + 1] ?? null);
  }
}
