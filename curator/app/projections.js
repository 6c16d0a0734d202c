// Which map is shown: of all images or of a selection, on principal axes or by UMAP, which the server computes in the
// background and keeps.

import { ask, askPacked, get } from "./api.js";
import { whole } from "./parts.js";

const LOOK = 700; // milliseconds between looks at what is being computed
const find = (id) => document.getElementById(id);
const AXES = { kind: "pca", numbers: null };

export class Projections {
  wanted = AXES; // what was chosen; `shown` is what is drawn meanwhile
  shown = AXES;
  turns = 0;

  constructor({ images, map }) {
    Object.assign(this, { images, map });
    find("projection").addEventListener("change", () => this.choose({ ...this.wanted, kind: find("projection").value }));
    find("map-selected").addEventListener("click", () => {
      const numbers = images.chosen();
      images.select([]); // so that their colours are seen
      this.choose({ ...this.wanted, numbers });
    });
    find("map-all").addEventListener("click", () => {
      images.select(this.wanted.numbers);
      this.choose({ ...this.wanted, numbers: null });
    });
    find("map-again").addEventListener("click", () => this.compute());
    find("map-cancel").addEventListener("click", () => this.told(ask("cancel", {})));
    images.addEventListener("selection", () => { find("map-selected").disabled = !images.selectedCount; });
  }

  // All images on their principal axes, as a new snapshot has them.
  load(places) {
    this.lake = places;
    this.refresh(true);
  }

  // The map is opened: what UMAP needs, and what is being computed.
  look() {
    this.told(get("projecting"));
  }

  choose(wanted) {
    this.wanted = wanted;
    this.refresh(false);
  }

  async refresh(isSame) {
    const { wanted } = this;
    const turn = (this.turns += 1);
    try {
      const isLake = wanted.kind === "pca" && !wanted.numbers;
      const found = isLake ? { ...this.lake, made: true, later: 0 } : await askPacked("projection", wanted);
      if (turn !== this.turns) return;
      if (!found.made) {
        await this.compute();
        return;
      }
      this.shown = wanted;
      this.map.lay(found, isSame);
      this.say(found.later ? `${whole(found.later)} images that are newer lie among their nearest` : "");
    } catch (fault) {
      if (turn === this.turns) this.giveUp(fault.message);
    }
    this.tell();
  }

  async compute() {
    this.isWaiting = true;
    await this.told(ask("project", this.wanted));
  }

  // What the server says of the work, until it is done.
  async told(answer) {
    clearTimeout(this.timer);
    try {
      const { missing, running, fault, made } = await answer;
      find("projection").querySelector("[value=umap]").disabled = Boolean(missing);
      find("map-missing").textContent = missing;
      find("map-share").hidden = find("map-cancel").hidden = !running;
      if (running) {
        find("map-share").value = running.share;
        this.say(`UMAP: ${running.text} …`);
        this.timer = setTimeout(() => this.told(get("projecting")), LOOK);
      } else if (this.isWaiting) {
        this.isWaiting = false;
        if (made !== this.made) this.refresh(false);
        else this.giveUp(fault || "UMAP was cancelled");
      }
      if (!running || this.made === undefined) this.made = made;
    } catch (fault) {
      this.isWaiting = false;
      this.giveUp(fault.message);
    }
    this.tell();
  }

  giveUp(why) {
    this.wanted = this.shown;
    this.say(why);
  }

  say(text) {
    if (find("map-state").textContent !== text) find("map-state").textContent = text;
  }

  tell() {
    const { kind, numbers } = this.wanted;
    find("projection").value = kind;
    find("map-all").hidden = !numbers;
    find("map-all").textContent = `Back from ${whole(numbers?.length ?? 0)} to all images`;
    find("map-again").hidden = this.shown.kind !== "umap" || !find("map-cancel").hidden;
  }
}
