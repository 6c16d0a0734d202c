"use strict";
// The map, the filters and the galleries of a night. Works on what is in the page; fetches nothing.

const byId = (id) => document.getElementById(id);
const holder = byId("map-data");
const map = holder ? unpacked(JSON.parse(holder.textContent)) : null;
const cards = [...document.querySelectorAll("[data-gallery] > figure")];
const addresses = new Map(map ? map.walked.places.map((i, place) => [i, map.walked.uris[place]]) : []); // by point
let visible = null; // of the points: 1 where the filters let it through
let walked = -1; // place among the flagged images that the keyboard walks through

function unpacked(data) {
  const array = (text, Kind) => new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  return {
    ...data,
    x: array(data.x, Uint16Array),
    y: array(data.y, Uint16Array),
    flagged: array(data.flagged, Uint8Array),
    cluster: array(data.cluster, Uint8Array),
    logOdds: array(data.logOdds, Float32Array),
    topId: array(data.topId, Uint32Array),
    name: array(data.name, Uint32Array),
  };
}

// Filters

function wanted() {
  const number = (id, otherwise) => (byId(id).value === "" ? otherwise : Number(byId(id).value));
  return {
    label: byId("label-filter").value.trim().toLowerCase(),
    cluster: byId("cluster-filter").value,
    low: number("low-filter", -Infinity),
    high: number("high-filter", Infinity),
    flagged: byId("flagged-filter").checked,
  };
}

function filter() {
  const want = wanted();
  const named = map.labels.map((label) => label.toLowerCase().includes(want.label));
  visible = new Uint8Array(map.count);
  let images = 0;
  let flags = 0;
  for (let i = 0; i < map.count; i++) {
    const kept =
      (named[map.topId[i]] || named[map.name[i]]) &&
      (want.cluster === "" || map.cluster[i] === Number(want.cluster)) &&
      map.logOdds[i] >= want.low && map.logOdds[i] <= want.high &&
      (!want.flagged || map.flagged[i] === 1);
    visible[i] = kept ? 1 : 0;
    images += visible[i];
    flags += kept ? map.flagged[i] : 0;
  }
  for (const card of cards) card.hidden = !passes(card.dataset, want);
  const shown = cards.filter((card) => !card.hidden).length;
  const count = (value) => value.toLocaleString("en");
  byId("filter-count").textContent =
    `${count(images)} of ${count(map.count)} images, ${count(flags)} of them flagged; ` +
    `${shown} of ${cards.length} pictures in the galleries`;
  walked = -1;
  draw();
}

function passes(data, want) {
  const odds = Number(data.logOdds);
  return (
    data.labels.toLowerCase().includes(want.label) &&
    (want.cluster === "" || data.cluster === want.cluster) &&
    odds >= want.low && odds <= want.high
  );
}

// The map

const MARGIN = 0.03;
const canvas = byId("map-canvas");

function size() {
  return { width: canvas.width, height: canvas.height, side: Math.min(canvas.width, canvas.height) * (1 - 2 * MARGIN) };
}

function spot(i, { width, height, side }) {
  return [width / 2 + (map.x[i] / 65535 - 0.5) * side, height / 2 + (map.y[i] / 65535 - 0.5) * side];
}

function draw() {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const box = size();
  const radius = scale * (map.count > 20000 ? 1.2 : map.count > 2000 ? 2 : 5);
  pen.clearRect(0, 0, box.width, box.height);
  for (const flagged of [0, 1]) {
    pen.fillStyle = style.getPropertyValue(flagged ? "--flag" : "--kept");
    const r = flagged ? radius * 1.4 : radius;
    for (let i = map.count - 1; i >= 0; i--) {
      if (!visible[i] || map.flagged[i] !== flagged) continue;
      const [x, y] = spot(i, box);
      if (flagged) diamond(pen, x, y, r);
      else pen.fillRect(x - r / 2, y - r / 2, r, r);
    }
  }
  if (walked >= 0) ring(pen, spot(map.walked.places[walked], box), 8 * scale, style.getPropertyValue("--accent"));
}

// Flagged images differ by shape and size too, not by colour alone.
function diamond(pen, x, y, r) {
  pen.beginPath();
  pen.moveTo(x, y - r);
  pen.lineTo(x + r, y);
  pen.lineTo(x, y + r);
  pen.lineTo(x - r, y);
  pen.fill();
}

function ring(pen, [x, y], r, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = r / 3;
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.stroke();
}

function told(i) {
  const state = `${map.labels[map.name[i]]}, ${map.flagged[i] ? "flagged" : "kept"}`;
  const cluster = map.clusters[map.cluster[i]] ? `, cluster ${map.clusters[map.cluster[i]]}` : "";
  return `${state}, nearest ID label ${map.labels[map.topId[i]]}, log-odds ${map.logOdds[i].toPrecision(4)}${cluster}`;
}

function nearest(event) {
  const frame = canvas.getBoundingClientRect();
  const box = size();
  const x = ((event.clientX - frame.left) / frame.width) * box.width;
  const y = ((event.clientY - frame.top) / frame.height) * box.height;
  let best = -1;
  let distance = (box.width / 40) ** 2;
  for (let i = 0; i < map.count; i++) {
    if (!visible[i]) continue;
    const [px, py] = spot(i, box);
    const found = (px - x) ** 2 + (py - y) ** 2;
    if (found < distance) [best, distance] = [i, found];
  }
  return best;
}

// Of an image whose picture is in the page, the picture too.
function show(i, before = "") {
  const uri = addresses.get(i);
  const picture = [...document.images].find((image) => uri !== undefined && image.alt === uri);
  byId("map-point").replaceChildren(...(picture ? [picture.cloneNode()] : []), before + told(i));
}

function point(event) {
  const i = nearest(event);
  if (i >= 0) show(i);
}

function open(event) {
  const uri = addresses.get(nearest(event));
  cards.find((card) => uri !== undefined && card.querySelector("img")?.alt === uri)?.querySelector("button").click();
}

function walk(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") canvas.blur();
  if (step === undefined) return;
  event.preventDefault();
  const places = map.walked.places;
  let next = walked + step;
  while (next >= 0 && next < places.length && !visible[places[next]]) next += step;
  if (next < 0 || next >= places.length) return;
  walked = next;
  show(places[walked], `${walked + 1} of ${places.length}: ${map.walked.uris[walked]}: `);
  draw();
}

if (map) {
  for (const kind of ["input", "change"]) byId("filters").addEventListener(kind, filter);
  byId("filters").addEventListener("reset", () => setTimeout(filter));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("click", open);
  canvas.addEventListener("keydown", walk);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(draw).observe(canvas);
  filter();
}

// The galleries

const dialog = document.querySelector("dialog");

for (const card of cards) {
  const button = card.querySelector("button");
  button.addEventListener("click", () => {
    dialog.querySelector("div").replaceChildren(
      button.firstElementChild.cloneNode(true), card.querySelector("figcaption").cloneNode(true));
    dialog.showModal();
  });
  button.addEventListener("keydown", (event) => {
    const shown = [...card.parentElement.children].filter((other) => !other.hidden);
    const place = shown.indexOf(card);
    const across = shown.filter((other) => other.offsetTop === shown[0].offsetTop).length;
    const next = {
      ArrowRight: place + 1, ArrowLeft: place - 1, ArrowDown: place + across, ArrowUp: place - across,
      Home: 0, End: shown.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    shown[next]?.querySelector("button").focus();
  });
}
