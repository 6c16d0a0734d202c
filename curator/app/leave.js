// Selections leave: tagged, exported, saved as a view, copied as SQL. About what is selected, else all that is shown; a tag is of
// what is selected, else of the active image.

import { ask, get } from "./api.js";
import { button, plural } from "./parts.js";

const OFTEN = 500; // milliseconds between looks at how far an export is

const find = (id) => document.getElementById(id);

export class Leave {
  constructor({ filters, images, grid, decisions, show }) {
    Object.assign(this, { filters, images, grid, decisions, show });
    const acts = { tag: (event) => this.tag(event), export: () => this.export(), save: () => this.save(), copy: () => this.copy() };
    for (const [name, act] of Object.entries(acts)) {
      find(`leave-${name}`).addEventListener("submit", (event) => {
        event.preventDefault();
        this.run(() => act(event));
      });
    }
    images.addEventListener("tags", () => find("leave").open && this.offer());
    find("leave").addEventListener("close", () => find("grid").focus());
  }

  // What leaves: the images, and the view where they are all that it shows.
  get said() {
    const isAll = !this.images.selectedCount || this.images.selectedCount === this.images.order.length;
    const numbers = isAll ? [...this.images.order] : this.images.chosen();
    return isAll && this.images.only === null ? { numbers, view: this.filters.view } : { numbers };
  }

  get tagged() {
    return this.images.selectedCount ? this.images.chosen() : [this.grid.activeNumber].filter((number) => number !== undefined);
  }

  open() {
    if (!this.images.order.length) return;
    const [selected, shown] = [this.images.selectedCount, this.images.order.length];
    find("leave-title").textContent = selected ? plural(selected, "selected image") : `All that is shown: ${plural(shown, "image")}`;
    find("leave-tagged").textContent = selected ? "" : "the active image";
    find("leave-sql").hidden = true;
    this.say("");
    find("leave").showModal();
    find("leave-tag-name").focus();
    this.run(() => this.offer());
    this.watch();
  }

  say(text) {
    find("leave-said").textContent = text;
  }

  async run(act) {
    try {
      await act();
    } catch (fault) {
      this.say(fault.message);
    }
  }

  // The choices of tags and views, here and in the filters.
  async offer() {
    const facets = await get("facets");
    this.filters.offer(facets);
    find("leave-tags").replaceChildren(...facets.tag.map(([tag]) => new Option(tag, tag)));
    find("leave-views").replaceChildren(...facets.saved.filter(([, , isOurs]) => isOurs).map(([name]) => this.line(name)));
  }

  line(name) {
    const [made, shown] = [document.createElement("li"), document.createElement("code")];
    shown.textContent = name;
    const rename = button("Rename", () => this.run(async () => {
      const found = await ask("saved", { act: "rename", name, new: find("leave-name").value.trim() });
      this.say(`${name} is called ${found.name} now`);
      await this.offer();
    }), `Rename ${name} to the name above`);
    const remove = button("Delete", () => this.run(async () => {
      await ask("saved", { act: "delete", name });
      this.say(`${name} is deleted`);
      const wasShown = this.filters.value("saved") === name;
      await this.offer();
      if (wasShown) await this.show();
    }), `Delete ${name}`);
    made.append(shown, rename, remove);
    return made;
  }

  tag(event) {
    const [tag, given] = [find("leave-tag-name").value.trim(), event.submitter?.value !== "off"];
    if (!tag) return;
    const numbers = this.tagged;
    this.decisions.tag(numbers, tag, given);
    this.say(`${tag}: ${given ? "given to" : "taken off"} ${plural(numbers.length, "image")}; z takes it back`);
  }

  async export() {
    const { numbers } = this.said;
    await ask("export", { numbers, format: find("leave-format").value, to: find("leave-to").value });
    this.isAwaited = true;
    this.watch();
  }

  // How far the export is, until it has ended.
  async watch() {
    clearTimeout(this.timer);
    const found = await get("export").catch((fault) => ({ running: false, said: "", fault: fault.message }));
    if (found.running) {
      this.isAwaited = true;
      this.say(`Exporting ${found.said}`.trim());
      this.timer = setTimeout(() => this.watch(), OFTEN);
    } else if (this.isAwaited) {
      this.isAwaited = false;
      this.say(found.fault ? `Not exported: ${found.fault}` : `Exported: ${found.said}`);
    }
  }

  async save() {
    const { name } = await ask("saved", { ...this.said, act: "save", name: find("leave-name").value.trim() });
    this.say(`Saved: choose ${name} among the filters, or run \`curator query ${name}\``);
    await this.offer();
  }

  async copy() {
    const { sql } = await ask("statement", this.said);
    const field = find("leave-sql");
    field.hidden = false;
    field.value = sql;
    field.select();
    await navigator.clipboard.writeText(sql).then(
      () => this.say("Copied: paste it into `curator sql`"),
      () => this.say("Copy what is selected below into `curator sql`"),
    );
  }
}
