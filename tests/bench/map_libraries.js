// Each library draws the same points on the whole page; `show(zoom, x, y)` has it draw them from elsewhere.

const COLOURS = [[78, 121, 167], [242, 142, 43], [225, 87, 89], [118, 183, 178], [89, 161, 79], [237, 201, 72]];
const PATIENCE = 10_000; // milliseconds for a first frame
const frame = () => new Promise(requestAnimationFrame);
const hex = (colour) => `#${colour.map((part) => part.toString(16).padStart(2, "0")).join("")}`;

function points(count) {
  let seed = 20010;
  const next = () => (seed = (seed * 1664525 + 1013904223) % 4294967296) / 4294967296;
  const [x, y, code] = [new Float32Array(count), new Float32Array(count), new Uint8Array(count)];
  for (let at = 0; at < count; at += 1) {
    code[at] = Math.floor(next() * COLOURS.length);
    const [far, turn] = [Math.sqrt(-2 * Math.log(1 - next())) * 0.12, next() * 2 * Math.PI];
    x[at] = Math.cos(code[at]) * 0.5 + Math.cos(turn) * far;
    y[at] = Math.sin(code[at]) * 0.5 + Math.sin(turn) * far;
  }
  return { count, x, y, code };
}

function script(name) {
  return new Promise((loaded, failed) => {
    const element = Object.assign(document.createElement("script"), { src: name, onload: loaded, onerror: failed });
    document.head.append(element);
  });
}

const colours = ({ count, code }, width, whole) => {
  const found = new (whole === 1 ? Float32Array : Uint8Array)(count * width).fill(whole);
  for (let at = 0; at < count; at += 1) COLOURS[code[at]].forEach((part, axis) => { found[at * width + axis] = whole === 1 ? part / 255 : part; });
  return found;
};

const places = ({ count, x, y }, width) => {
  const found = new Float32Array(count * width);
  for (let at = 0; at < count; at += 1) [found[at * width], found[at * width + 1]] = [x[at], y[at]];
  return found;
};

const DRAWN = {
  async "embedding-atlas"(all, root) {
    const { EmbeddingView } = await import("./component.js");
    return async () => {
      const size = { width: root.clientWidth, height: root.clientHeight };
      const view = new EmbeddingView(root, { data: { x: all.x, y: all.y, category: all.code }, categoryColors: COLOURS.map(hex), ...size });
      return (zoom, x, y) => view.update({ viewportState: { x, y, scale: zoom } });
    };
  },
  async "regl-scatterplot"(all, root) {
    const { default: createPubSub } = await import("./pub-sub-es.js");
    window.createPubSub = createPubSub;
    await script("regl.min.js");
    window.createREGL = window.createREGL ?? window.regl;
    await script("regl-scatterplot.min.js");
    return async () => {
      const canvas = document.createElement("canvas");
      root.append(canvas);
      const plot = window.createScatterplot.default({ canvas, width: root.clientWidth, height: root.clientHeight, colorBy: "valueA", pointColor: COLOURS.map(hex) });
      await plot.draw({ x: all.x, y: all.y, z: all.code });
      return (zoom, x, y) => plot.zoomToLocation([x, y], 1 / zoom);
    };
  },
  async "deck.gl"(all, root) {
    await script("deck.js");
    return async () => {
      const { Deck, OrthographicView, ScatterplotLayer } = window.deck;
      const scale = Math.log2(root.clientHeight / 2);
      const view = (zoom, x, y) => ({ target: [x, y, 0], zoom: scale + Math.log2(zoom) });
      const canvas = document.createElement("canvas");
      root.append(canvas);
      const attributes = { getPosition: { value: places(all, 2), size: 2 }, getFillColor: { value: colours(all, 4, 255), size: 4 } };
      let drawn;
      const first = new Promise((done) => { drawn = done; });
      const made = new Deck({
        canvas, width: root.clientWidth, height: root.clientHeight, deviceProps: { webgl: { antialias: false } }, useDevicePixels: false, views: new OrthographicView({ flipY: false }), viewState: view(1, 0, 0), onAfterRender: () => drawn(),
        layers: [new ScatterplotLayer({ data: { length: all.count, attributes }, radiusUnits: "pixels", getRadius: 1, antialiasing: false })],
      });
      await first;
      return (...at) => { made.setProps({ viewState: view(...at) }); made.redraw("moved"); };
    };
  },
  async "three.js"(all, root) {
    const three = await import("./three.module.js");
    return async () => {
      const renderer = new three.WebGLRenderer();
      renderer.setSize(root.clientWidth, root.clientHeight);
      root.append(renderer.domElement);
      const shape = new three.BufferGeometry();
      shape.setAttribute("position", new three.BufferAttribute(places(all, 3), 3));
      shape.setAttribute("color", new three.BufferAttribute(colours(all, 3, 1), 3));
      const scene = new three.Scene().add(new three.Points(shape, new three.PointsMaterial({ size: 2, sizeAttenuation: false, vertexColors: true })));
      const wide = root.clientWidth / root.clientHeight;
      const camera = new three.OrthographicCamera(-wide, wide, 1, -1, -1, 1);
      return (zoom, x, y) => {
        camera.position.set(x, y, 0);
        camera.zoom = zoom;
        camera.updateProjectionMatrix();
        renderer.render(scene, camera);
      };
    };
  },
  async "twgl.js"(all, root) {
    const twgl = await import("./twgl-full.module.js");
    return async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: root.clientWidth, height: root.clientHeight });
      root.append(canvas);
      const pen = canvas.getContext("webgl2", { antialias: false });
      const program = twgl.createProgramInfo(pen, [
        `#version 300 es
        in vec2 place; in vec4 colour; uniform vec4 seen; out vec4 shade;
        void main() { gl_Position = vec4((place - seen.xy) * seen.zw, 0, 1); gl_PointSize = 2.0; shade = colour; }`,
        `#version 300 es
        precision mediump float; in vec4 shade; out vec4 ink;
        void main() { ink = shade; }`,
      ]);
      const buffers = twgl.createBufferInfoFromArrays(pen, {
        place: { numComponents: 2, data: places(all, 2) },
        colour: { numComponents: 4, data: colours(all, 4, 255), type: Uint8Array },
      });
      pen.useProgram(program.program);
      twgl.setBuffersAndAttributes(pen, program, buffers);
      return (zoom, x, y) => {
        twgl.setUniforms(program, { seen: [x, y, (zoom * canvas.height) / canvas.width, zoom] });
        pen.clear(pen.COLOR_BUFFER_BIT);
        twgl.drawBufferInfo(pen, buffers, pen.POINTS);
      };
    };
  },
  async canvas(all, root) {
    return async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: root.clientWidth, height: root.clientHeight });
      root.append(canvas);
      const pen = canvas.getContext("2d");
      const shades = COLOURS.map(([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
      return (zoom, left, top) => {
        const { width, height } = canvas;
        const picture = pen.createImageData(width, height);
        const pixels = new Uint32Array(picture.data.buffer);
        const scale = (zoom * height) / 2;
        for (let at = 0; at < all.count; at += 1) {
          const x = Math.round(width / 2 + (all.x[at] - left) * scale);
          const y = Math.round(height / 2 - (all.y[at] - top) * scale);
          if (!(x >= 0 && y >= 0 && x < width - 2 && y < height - 2)) continue;
          const start = y * width + x;
          pixels[start] = pixels[start + 1] = pixels[start + width] = pixels[start + width + 1] = shades[all.code[at]];
        }
        pen.putImageData(picture, 0, 0);
      };
    };
  },
};

// Frames/s for so many milliseconds, each seen from another place. What a graphics processor still does is waited for by
// reading its last frame.
async function rate(root, show, milliseconds, place) {
  const began = performance.now();
  let turns = 0;
  while (performance.now() - began < milliseconds) {
    show(...place(turns / 90));
    await frame();
    turns += 1;
  }
  inked(root);
  return (1000 * turns) / (performance.now() - began);
}

// How much of the page is drawn on, as its last frame shows it: a library that says nothing may have drawn nothing.
function inked(root) {
  const canvas = root.querySelector("canvas");
  if (!canvas) return 0;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return seen.size;
}

export async function measured(name, count) {
  const all = points(count);
  const refused = [];
  document.addEventListener("securitypolicyviolation", (event) => refused.push(`${event.violatedDirective} refuses ${event.blockedURI}`));
  addEventListener("error", (event) => refused.push(event.message));
  addEventListener("unhandledrejection", (event) => refused.push(String(event.reason)));
  const root = Object.assign(document.createElement("div"), { id: "plane" });
  document.body.append(root);
  const draw = await DRAWN[name](all, root);
  const began = performance.now();
  let [show, fault] = [undefined, undefined];
  try {
    show = await draw();
    show(1, 0, 0);
    while (inked(root) < COLOURS.length) {
      if (performance.now() - began > PATIENCE) throw new Error(`nothing is drawn${root.innerText ? `; it says: ${root.innerText.trim()}` : ""}`);
      await frame();
      show(1, 0, 0);
    }
    const first = performance.now() - began;
    const pan = await rate(root, show, 3000, (share) => [2, Math.sin(share * 6) * 0.3, Math.cos(share * 6) * 0.3]);
    const zoom = await rate(root, show, 3000, (share) => [4 - 3 * Math.cos(share * 6), 0, 0]);
    return { first, pan, zoom, fault: [...new Set(refused)].join("; ") };
  } catch (error) {
    fault = [...new Set([...refused, String(error)])].join("; ");
    return { first: 0, pan: 0, zoom: 0, fault };
  }
}
