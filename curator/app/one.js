// The image that is active: large, with what is known of it, a note and a label that is wrong, for the next decision.

const WAIT = 120; // milliseconds that an image is active before it is loaded large

const find = (id) => document.getElementById(id);

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

const number = (value) => (value === null || value === undefined ? "none" : Number(value).toPrecision(3));

export class One {
  wrong = null;
  shown = undefined;

  constructor(images) {
    this.images = images;
  }

  get note() {
    return find("note").value.trim() || null;
  }

  // Show an image, or again what is said of it.
  show(which) {
    const card = which === undefined ? undefined : this.images.cards.get(which);
    find("one-state").textContent = this.images.said(which);
    if (this.shown === card) return;
    this.shown = card;
    this.wrong = null;
    find("note").value = "";
    find("one-title").textContent = card ? card.name : "No image";
    find("one-address").textContent = card ? card.uri : "";
    find("one-picture").style.visibility = "hidden"; // its place stays, so that nothing under it moves
    clearTimeout(this.timer);
    this.labels();
    find("one-facts").replaceChildren();
    if (!card) return;
    this.timer = setTimeout(() => {
      find("one-picture").src = `pictures/${card.image_id}`;
      find("one-picture").alt = `${card.name}: ${card.uri.split("/").pop()}`;
      find("one-picture").style.visibility = "visible";
    }, WAIT);
    const facts = {
      "The policy says": card.flagged ? "OOD" : "ID",
      "id_score": number(card.id_score),
      "Log-odds": number(card.log_odds),
      "Cut": number(card.cut),
      "p-value": number(card.p_value),
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

  get candidates() {
    return this.shown ? [...new Set([this.shown.top_negative, this.shown.top_id])].filter(Boolean) : [];
  }

  labels() {
    const buttons = this.candidates.map((label) => {
      const button = element("button", label);
      button.type = "button";
      button.setAttribute("aria-pressed", label === this.wrong);
      button.addEventListener("click", () => this.mark(label === this.wrong ? null : label));
      return button;
    });
    find("labels").replaceChildren(...buttons);
  }

  mark(label) {
    this.wrong = label;
    this.labels();
    find("one-state").textContent = label ? `Wrong label: ${label}. Now decide.` : "";
  }

  cycleWrong() {
    const labels = this.candidates;
    this.mark(labels[labels.indexOf(this.wrong) + 1] ?? null);
  }
}
