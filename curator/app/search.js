// Search: by words, by an image that is chosen or dropped, by what is selected. What is found is shown like any view.

import { ask, send } from "./api.js";
import { whole } from "./parts.js";


export class Search {
  constructor({ filters, images, grid, show, complain }) {
    Object.assign(this, { filters, images, grid, show, complain });
    const [form, words, file] = ["search", "words", "file"].map((id) => document.getElementById(id));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = words.value.trim();
      if (text) this.run(() => ask("search", { text }), `Nearest to “${text}”`, { byWords: true });
      else this.clear();
    });
    words.addEventListener("search", () => words.value || this.clear());
    file.addEventListener("change", () => {
      if (file.files[0]) this.byFile(file.files[0]);
      file.value = "";
    });
    document.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      if (event.dataTransfer.files[0]) this.byFile(event.dataTransfer.files[0]);
    });
  }

  byFile(file) {
    return this.run(async () => send("search", await file.arrayBuffer()), `Nearest to the image ${file.name}`);
  }

  // More like what is selected, else like the active image.
  alike() {
    const numbers = this.images.selectedCount ? this.images.chosen() : [this.grid.activeNumber];
    if (numbers[0] === undefined) return undefined;
    const said = numbers.length === 1 ? "Nearest to an image" : `Nearest to the middle of ${whole(numbers.length)} images`;
    return this.run(() => ask("search", { numbers }), said);
  }

  clear() {
    if (!this.filters.among) return;
    this.filters.find(null, "");
    this.show();
  }

  async run(search, said, how) {
    this.complain("Searching …");
    try {
      const found = await search();
      this.filters.find(found.numbers, said, how);
      await this.show();
    } catch (fault) {
      this.complain(`Not found: ${fault.message}`);
    }
  }
}
