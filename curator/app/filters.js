// The form of filters and order: what it says as a view, and the choices that a snapshot offers.

const CHOICES = ["night", "source", "label", "name", "tag", "saved"];
const SAID = { dark: "dark", bright: "bright", blurry: "blurry", low_information: "of low information", odd_aspect: "of odd aspect",
  near_duplicate: "a near-duplicate", unmeasured: "not measured" };

export class Filters {
  among = null; // numbers of images that a search or a map has found, in their order
  clusters = [];

  constructor(form, changed) {
    this.form = form;
    const soon = (wait) => {
      clearTimeout(this.timer);
      this.timer = setTimeout(changed, wait);
    };
    form.addEventListener("change", (event) => {
      if (event.target.name && event.target.name !== "where") soon(0);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      changed();
    });
    form.addEventListener("reset", () => {
      this.find(null, "");
      soon(0);
    });
    form.elements.where.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        changed();
      }
    });
  }

  value(name) {
    return this.form.elements[name].value;
  }

  set(name, value) {
    const field = this.form.elements[name];
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
  }

  // All that is chosen, as `recall` takes it.
  get chosen() {
    const fields = [...this.form.elements].filter((field) => field.name);
    return {
      fields: fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value]),
      among: this.among && [...this.among],
      said: document.getElementById("found").textContent,
    };
  }

  recall({ fields, among, said }) {
    if (among) this.find(among, said);
    for (const [name, value] of fields) {
      this.set(name, value);
      const { options } = this.form.elements[name];
      if (options && this.value(name) !== value) options.add(new Option(value, value, false, true)); // until choices are offered
    }
  }

  get view() {
    const { elements } = this.form;
    const flagged = { yes: true, no: false }[this.value("flagged")] ?? null;
    const chosen = CHOICES.filter((name) => elements[name].selectedIndex > 0).map((name) => [name, this.value(name)]);
    const cluster = this.value("cluster");
    return {
      ...Object.fromEntries(chosen),
      sort: this.value("sort"),
      descending: elements.descending.checked,
      groups: elements.groups.checked,
      flagged,
      reviewed: this.value("reviewed") || null,
      cluster: cluster === "" ? null : Number(cluster),
      quality: Object.keys(SAID).filter((fact) => elements[fact].checked),
      where: this.value("where"),
      among: this.among && [...this.among],
    };
  }

  // Choose among images that were found, in their order; null for all. byWords: by those in the field, which goes with them.
  find(numbers, said, { byWords = false } = {}) {
    if (!byWords) document.getElementById("words").value = "";
    const { sort } = this.form.elements;
    const given = sort.querySelector("[value=given]");
    this.among = numbers;
    given.disabled = numbers === null;
    if (numbers) sort.value = "given";
    else if (sort.value === "given") sort.value = "queue";
    const note = document.getElementById("found");
    note.hidden = numbers === null;
    note.textContent = said;
  }

  offer(facets) {
    for (const name of CHOICES) {
      if (name === "saved") continue;
      const rows = name === "night" ? facets.night : facets[name].map(([text, count]) => [text, text || "none", count]);
      this.fill(name, rows);
    }
    this.fill("saved", facets.saved.map(([name]) => [name, name, null]));
    for (const [fact, said] of Object.entries(SAID)) {
      const box = this.form.elements[fact];
      box.nextElementSibling.textContent = `${said} (${facets.quality[fact].toLocaleString("en")})`;
    }
  }

  offerClusters(names, counts) {
    this.clusters = names;
    this.fill("cluster", names.map((name, place) => [String(place), `${place + 1}: ${name}`, counts[place]]));
  }

  fill(name, rows) {
    const select = this.form.elements[name];
    const before = select.selectedIndex > 0 ? select.value : null;
    const options = rows.map(([value, text, count]) => new Option(count === null ? text : `${text} (${count.toLocaleString("en")})`, value));
    select.replaceChildren(select.options[0], ...options);
    const place = options.findIndex((option) => option.value === before);
    select.selectedIndex = before === null ? 0 : place + 1;
  }
}
