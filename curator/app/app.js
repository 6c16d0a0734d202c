// The page: its parts, and what keys and buttons do. Everything shown comes in as text (textContent), never as markup.

import { get, getPacked } from "./api.js";
import { Decisions } from "./decisions.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { Images } from "./images.js";
import { Leave } from "./leave.js";
import { LakeMap } from "./map.js";
import { One } from "./one.js";
import { whole } from "./parts.js";
import { Piles } from "./piles.js";
import { Projections } from "./projections.js";
import { recall, remember } from "./recall.js";
import { Search } from "./search.js";
import { Single } from "./single.js";
import { Threshold } from "./threshold.js";

const VIEWS = ["threshold", "banks", "nights"]; // above the grid
const PANELS = ["filters", "one", "map", ...VIEWS];
const FOLLOW = 3000; // milliseconds between looks for a new snapshot
const find = (id) => document.getElementById(id);

const images = new Images();
const decisions = new Decisions(images);
const grid = new Grid(find("grid"), images);
const one = new One(images);
const filters = new Filters(find("filters"), () => {
  piles.end();
  show();
});
const piles = new Piles({ images, grid, filters, show });
const search = new Search({ filters, images, grid, show, complain });
const map = new LakeMap(images, grid);
const projections = new Projections({ images, map });
const single = new Single({ images, grid });
const threshold = new Threshold(images, { changed: () => tryCut(), complain });
const leave = new Leave({ filters, images, grid, decisions, show });
let state = {};
let followed; // the snapshot that is shown
const messages = new Map(); // each stays until whatever said it says otherwise

// about: what the user did last, the decisions, or the connection.
function complain(text, about = "act") {
  if (text) messages.set(about, text);
  else messages.delete(about);
  const shown = [...messages.values()].join("\n");
  if (find("message").textContent !== shown) find("message").textContent = shown;
  find("message").hidden = !shown;
}

// A fault of something that was asked for. Where it was the connection, it is over once the server is back, and all comes anew.
function complainOf(fault) {
  if (fault.status === 0) followed = undefined;
  complain(fault.message, fault.status === 0 ? "connection" : "act");
}

// The view that the filters ask for; of several that were asked for one after another, the last. again: nobody has
// asked for another one, so what is active and what is said of the last act stay.
async function show({ again = false } = {}) {
  if (!again) complain("");
  try {
    const { view } = filters;
    images.only = threshold.trial === null ? null : view.flagged;
    await images.show(threshold.trial === null ? view : { ...view, flagged: null }, { again });
  } catch (fault) {
    complainOf(fault);
  }
}

// The grid as the cut that is tried would have it. With a filter on flags, all images are asked for and sifted here.
function tryCut() {
  const { flagged } = filters.view;
  const isSifted = threshold.trial !== null && flagged !== null;
  if (isSifted !== (images.only !== null)) show({ again: true });
  images.try(threshold.trial, isSifted ? flagged : null);
}

function toggleMap() {
  toggle("map");
  map.soon();
  if (map.open) projections.look();
}

function toggleThreshold() {
  toggle("threshold");
  if (!threshold.open) return;
  threshold.judgeReviewed();
  threshold.show();
  tryCut();
}

// Images that a view has found, as a search would show them.
function showFound(numbers, said) {
  filters.find(numbers, said);
  return show();
}

// The images that came in a night, under the other filters.
function showNight(run) {
  if (filters.among) filters.find(null, "");
  filters.set("night", run);
  if (filters.value("sort") === "queue") filters.set("sort", "score");
  return show();
}

// A view whose module is loaded when it is opened first.
const views = {};
async function toggleView(id) {
  toggle(id);
  if (find(id).hidden) return;
  try {
    views[id] ??= new (await import(`./${id}.js`)).View(find(id), { complain, showFound, showNight });
    await views[id].show();
  } catch (fault) {
    complain(fault.message);
  }
}

function tell() {
  const count = images.order.length;
  const what = images.grouped ? "groups" : "images";
  const lake = `in the lake ${whole(images.flaggedAmong(images.flagged.keys()))} of ${whole(state.images ?? 0)} images`;
  find("count").textContent = `${whole(count)} ${what}, ${whole(images.flaggedAmong(images.order))} flagged; ${lake}`;
  find("nothing").hidden = count > 0;
  one.show(grid.activeNumber);
}

function tellSelected() {
  const count = images.selectedCount;
  find("selected").textContent = count ? `${whole(count)} selected` : "Nothing selected";
}

function tellSaved() {
  const open = decisions.open;
  for (const button of document.querySelectorAll("[data-key=z]")) button.disabled = decisions.done.length === 0;
  const saved = decisions.done.length ? `All ${whole(decisions.done.length)} saved` : "";
  find("saved").textContent = open ? `${whole(open)} on their way` : saved;
  complain(decisions.fault && `Not saved${open ? " yet" : ""}: ${decisions.fault}`, "decisions");
}

// A decision about what is selected, else about the active image; in the dialog about the image that it shows, alone.
function decide(decision) {
  if (single.isOpen) {
    decideShown(decision);
    return undefined;
  }
  const isSelection = images.selectedCount > 0;
  const numbers = isSelection ? images.chosen() : [grid.activeNumber];
  if (numbers[0] === undefined) return;
  record(numbers, decision);
  if (piles.on && isSelection) piles.next();
  else if (isSelection) images.select([]);
  else if (grid.active < images.order.length - 1) return grid.go(grid.active + 1);
  one.show(grid.activeNumber);
  return undefined;
}

function record(numbers, decision) {
  complain("");
  const isNoted = !single.isOpen || single.number === one.number; // note and wrong label are of the image at the side
  decisions.decide(numbers, decision, isNoted ? { note: one.note, wrongLabel: one.wrong } : {});
  if (isNoted) one.forget();
}

// What is decided leaves the selection, as in the grid; the rest of it stays as it is.
function decideShown(decision) {
  const { number } = single;
  record([number], decision);
  if (images.selected[number]) images.toggle(number);
  single.step(1);
}

// Piles, with nothing over them on a narrow screen: who decides a pile sees it.
function review() {
  for (const id of ["filters", "one"]) if (isNarrow.matches && !find(id).hidden) toggle(id);
  piles.begin();
}

function undo() {
  complain("");
  const number = decisions.undo();
  const place = images.order.indexOf(number);
  if (piles.on && !single.isOpen) piles.next();
  else if (place >= 0) grid.go(place);
  if (single.isOpen) single.open(number ?? single.number);
}

function selectAlike(column) {
  const number = grid.activeNumber;
  if (number === undefined) return;
  if (column !== "name") images.select(images.alike(column, number));
  else if (images.cards.has(number)) {
    filters.set("name", images.cards.get(number).name);
    show().then(() => images.select(images.order));
  }
}

const isNarrow = matchMedia("(max-width: 46rem)"); // one thing at a time fits

// What is closed when one thing is opened: beside the map there is place for one view, on a phone for none.
function rivals(id) {
  if (["filters", "one"].includes(id)) return isNarrow.matches ? ["filters", "one"] : [id];
  if (isNarrow.matches) return PANELS;
  return id === "map" ? ["map"] : VIEWS;
}

function toggle(id) {
  const opened = find(id).hidden;
  const isTried = threshold.trial !== null;
  for (const other of rivals(id)) {
    if (find(other).contains(document.activeElement)) find("grid").focus(); // what has the focus must not vanish with it
    find(other).hidden = !(opened && other === id);
    find(`show-${other}`).setAttribute("aria-expanded", opened && other === id);
  }
  if (isTried && !threshold.open) tryCut();
}

const arrows = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -grid.columns, ArrowDown: () => grid.columns,
  PageUp: () => -grid.page, PageDown: () => grid.page, Home: () => -grid.active, End: () => images.order.length };

const keys = [
  ["r", "review the flags pile by pile, each a cluster: let go of what differs, decide the rest", review],
  ["i", "ID: it belongs", () => decide("id")],
  ["o", "OOD: it does not belong", () => decide("ood")],
  ["u", "unsure", () => decide("unsure")],
  ["b", "bad image: no usable picture", () => decide("bad_image")],
  ["w", "a label is wrong: the nearest negative, once more the nearest ID label, once more neither", () => one.cycleWrong()],
  ["z", "undo: take the last decision back", undo],
  [" ", "select the active image, or let go of it", () => grid.activeNumber !== undefined && images.toggle(grid.activeNumber)],
  ["Control+a", "select all that is shown", () => images.select(images.order)],
  ["g", "select the group of the active image", () => selectAlike("group")],
  ["c", "select its cluster", () => selectAlike("cluster")],
  ["n", "show and select what has its name", () => selectAlike("name")],
  ["Escape", "select nothing; leave a field", () => images.select([])],
  ["l", "lasso: draw around images", () => {
    grid.setLasso(!grid.lasso);
    find("lasso").setAttribute("aria-pressed", grid.lasso);
  }],
  ["f", "filters, shown or hidden", () => toggle("filters")],
  ["m", "the map, shown or hidden: draw around images there, zoom by the wheel, Shift and drag to move it", toggleMap],
  ["t", "the threshold: drag the cut, and see what it would flag", toggleThreshold],
  ["v", "bank versions: what they hold, two side by side, and one proposed from decisions", () => toggleView("banks")],
  ["h", "the history of the nights: flag rate, drift and rejects; choose one to see its images", () => toggleView("nights")],
  ["Enter", "all about the active image: why it is judged so, what is near it, what became of it", () => single.open()],
  ["p", "the active image at the side, shown or hidden", () => toggle("one")],
  ["x", "take along what is selected, else all that is shown: tag, export, save as a view, copy as SQL", () => leave.open()],
  ["/", "search by words", () => find("words").focus()],
  ["k", "more like what is selected, else like the active image", () => search.alike()],
  ["s", "write an SQL condition", () => {
    if (find("filters").hidden) toggle("filters");
    find("filters").elements.where.focus();
  }],
  ["e", "write a note for the next decision", () => {
    if (find("one").hidden) toggle("one");
    find("note").focus();
  }],
  ["+", "larger pictures", () => resize(16)],
  ["-", "smaller pictures", () => resize(-16)],
  ["?", "these keys", () => find("help").showModal()],
];
const acts = new Map(keys.map(([key, , act]) => [key, act]));
const named = { " ": "Space", "Control+a": "Ctrl A", Escape: "Esc" };

function resize(step) {
  const field = find("size");
  field.value = Number(field.value) + step;
  grid.resize(Number(field.value));
}

function isField(target) {
  return target.matches("textarea, select, input:not([type=checkbox], [type=range], [type=file])");
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (find("help").open || find("leave").open) return;
  if (find("single").open) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) single.step(by);
    else if ("ioubz".includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) acts.get(event.key)();
    return;
  }
  if (isField(target)) {
    if (event.key === "Escape" || (event.key === "Enter" && target.id === "note")) {
      event.preventDefault();
      find("grid").focus();
    }
    return;
  }
  const isButton = target.matches("button, input, summary");
  if (isButton && (event.key === " " || event.key === "Enter" || event.key.startsWith("Arrow"))) return;
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey || (control && event.key !== "a")) return;
  const step = target.id !== "plane" && arrows[event.key];
  const act = step ? () => grid.go(grid.active + step(), { extend: event.shiftKey }) : acts.get(control ? "Control+a" : event.key);
  if (!act) return;
  event.preventDefault();
  act();
});

// The dialog has the buttons that the page has.
for (const button of find("decide").children) {
  const copy = button.cloneNode(true);
  copy.removeAttribute("id");
  find("single-decide").append(copy);
}
for (const button of document.querySelectorAll("[data-key]")) {
  const key = button.dataset.key;
  button.setAttribute("aria-keyshortcuts", key);
  button.addEventListener("click", () => acts.get(key)());
}
for (const id of ["filters", "one"]) find(`show-${id}`).addEventListener("click", () => toggle(id));
find("grid").addEventListener("open", () => single.open());
find("single").addEventListener("close", () => {
  if (piles.on && !images.selectedCount && !piles.pile.some((number) => piles.isOpen(number))) piles.next(); // all decided there
});
find("single-before").addEventListener("click", () => single.step(-1));
find("single-after").addEventListener("click", () => single.step(1));
find("show-map").addEventListener("click", toggleMap);
find("show-threshold").addEventListener("click", toggleThreshold);
for (const id of ["banks", "nights"]) find(`show-${id}`).addEventListener("click", () => toggleView(id));
find("show-help").addEventListener("click", () => find("help").showModal());
find("size").addEventListener("input", () => grid.resize(Number(find("size").value)));
for (const [key, text] of [["← → ↑ ↓", "another image; with Shift, select up to it"], ["Home End Page", "far away"], ...keys]) {
  const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
  term.append(Object.assign(document.createElement("kbd"), { textContent: named[key] ?? key }));
  meaning.textContent = text;
  find("keys").append(term, meaning);
}
if (isNarrow.matches) toggle("filters");

images.addEventListener("order", tell);
images.addEventListener("cards", () => one.show(grid.activeNumber));
images.addEventListener("tags", () => get("facets").then((facets) => filters.offer(facets), (fault) => complain(fault.message)));
images.addEventListener("decision", tell);
images.addEventListener("selection", tellSelected);
images.addEventListener("fault", (event) => complainOf(event.detail));
find("grid").addEventListener("active", () => one.show(grid.activeNumber));
decisions.addEventListener("change", tellSaved);

// Clusters come once they are made, which takes a moment after each new image.
async function lookAround() {
  const found = await getPacked("landscape");
  const counts = new Array(found.names.length).fill(0);
  for (const cluster of found.cluster) if (cluster < counts.length) counts[cluster] += 1;
  Object.assign(images, { cluster: found.cluster, clusterNames: found.names, landscape: state.generation });
  projections.load({ x: found.x, y: found.y });
  filters.offerClusters(found.names, counts);
}

// The columns are here: the view, where the user was, and what stands around it.
async function fill() {
  decisions.reapply();
  find("ruling").textContent = state.ruling;
  find("ruling").title = state.ruling;
  const [scores] = await Promise.all([getPacked("scores"), show({ again: true })]);
  threshold.load(scores);
  tryCut();
  for (const [id, view] of Object.entries(views)) if (!find(id).hidden) await view.show();
}

// After a new snapshot the choices come first: what was chosen may be gone.
async function load() {
  followed = state.generation;
  try {
    await images.load();
    filters.offer(await get("facets"));
    await fill();
  } catch (fault) {
    followed = undefined;
    throw fault;
  }
}

async function follow() {
  try {
    state = await get("state");
    if (state.generation !== followed) await load();
    await decisions.resume();
    if (state.landscape && images.landscape !== state.generation) await lookAround();
    images.settle(state.grouping);
    complain("", "connection");
  } catch (fault) {
    complain(`Not followed: ${fault.message}`, "connection");
  }
  setTimeout(follow, FOLLOW);
}

// Where the user is, and what can be undone, for when the page is loaded again.
addEventListener("pagehide", () => state.session && remember(state.session, {
  filters: filters.chosen,
  words: find("words").value,
  size: grid.size,
  active: grid.activeNumber,
  open: PANELS.filter((id) => !find(id).hidden),
  pile: piles.on || piles.isAsked,
  cut: threshold.isTried ? threshold.cut : null,
  undoable: decisions.undoable,
}));

// Before the first grid is asked for.
function recallView(found) {
  filters.recall(found.filters);
  find("words").value = found.words;
  find("size").value = found.size;
  grid.resize(found.size);
  if (found.cut !== null) Object.assign(threshold, { cut: found.cut, isTried: true });
  decisions.recall(found.undoable);
}

// After it.
async function recallPanels({ open, active, pile }) {
  const acts = { map: toggleMap, threshold: toggleThreshold, banks: () => toggleView("banks"), nights: () => toggleView("nights") };
  for (const isOpen of [true, false]) {
    for (const id of PANELS) if (!find(id).hidden === isOpen && open.includes(id) !== isOpen) await (acts[id] ?? (() => toggle(id)))();
  }
  if (pile) return review();
  const place = images.order.indexOf(active);
  if (place > 0) grid.go(place);
  return undefined;
}

// What the first grid waits for is asked for at once.
async function start() {
  [state] = await Promise.all([get("state"), images.load()]);
  followed = state.generation;
  decisions.meet(state);
  if (!state.queued) filters.set("sort", "score");
  const before = recall(state.session);
  if (before) recallView(before);
  const [facets] = await Promise.all([get("facets"), fill()]);
  filters.offer(facets);
  if (before) await recallPanels(before);
  find("grid").focus();
  document.documentElement.dataset.ready = "yes";
  follow();
}

start().catch((fault) => complain(`The images could not be loaded: ${fault.message}`));
