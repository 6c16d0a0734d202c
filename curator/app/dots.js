// Two ways to draw the dots of the map: by three.js where a graphics processor does the work, else as pixels of a canvas.
// What is drawn comes in layers, the lowest first: the places of dots (x, y), their shades as the bytes of a pixel, and
// their size in pixels. How it is seen: `scale` pixels a unit, and where (0, 0) lies.

const COMPUTED = /swiftshader|llvmpipe|softpipe|software|basic render/i; // by the processor, and browsers may not tell

function rendererOf(context) {
  const told = context.getExtension("WEBGL_debug_renderer_info");
  return String(context.getParameter(told?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER));
}

export class PixelDots {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
  }

  show(layers) {
    this.layers = layers;
  }

  draw({ scale, left, top, width, height }) {
    const picture = this.pen.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (const { x: xs, y: ys, shades, size } of this.layers) {
      for (let at = 0; at < xs.length; at += 1) {
        const x = Math.round(left + xs[at] * scale);
        const y = Math.round(top - ys[at] * scale);
        if (x < 0 || y < 0 || x >= width - size || y >= height - size) continue;
        for (let row = 0, start = y * width + x; row < size; row += 1, start += width) {
          for (let one = start; one < start + size; one += 1) pixels[one] = shades[at];
        }
      }
    }
    this.pen.putImageData(picture, 0, 0);
  }
}

export class PointDots {
  // On a canvas of its own. Undefined where there is no WebGL, or none but a computed one, which is slower than pixels.
  static async on(canvas, lost) {
    const context = canvas.getContext("webgl2", { antialias: false, failIfMajorPerformanceCaveat: true });
    if (!context || COMPUTED.test(rendererOf(context))) return undefined;
    canvas.addEventListener("webglcontextlost", lost, { once: true });
    return new PointDots(await import("./vendor/three.module.js"), canvas, context);
  }

  constructor(three, canvas, context) {
    Object.assign(this, { three, scene: new three.Scene(), camera: new three.OrthographicCamera() });
    this.renderer = new three.WebGLRenderer({ canvas, context, alpha: true });
    this.renderer.outputColorSpace = three.LinearSRGBColorSpace; // shades are as they shall be seen
    this.renderer.setClearAlpha(0);
    this.camera.position.z = 1;
  }

  show(layers) {
    const { three, scene } = this;
    for (const points of scene.children) {
      points.geometry.dispose();
      points.material.dispose();
    }
    scene.clear();
    for (const { x, y, shades, size } of layers) {
      const places = new Float32Array(3 * x.length);
      for (let at = 0; at < x.length; at += 1) [places[3 * at], places[3 * at + 1]] = [x[at], y[at]];
      const geometry = new three.BufferGeometry();
      geometry.setAttribute("position", new three.BufferAttribute(places, 3));
      geometry.setAttribute("color", new three.BufferAttribute(new Uint8Array(shades.buffer), 4, true));
      const material = new three.PointsMaterial({ size, sizeAttenuation: false, vertexColors: true, transparent: true, depthTest: false });
      const points = new three.Points(geometry, material);
      points.frustumCulled = false;
      points.renderOrder = scene.children.length;
      scene.add(points);
    }
  }

  draw({ scale, left, top, width, height }) {
    const { renderer, camera } = this;
    if (this.size !== `${width} ${height} ${devicePixelRatio}`) {
      this.size = `${width} ${height} ${devicePixelRatio}`;
      renderer.setPixelRatio(devicePixelRatio);
      renderer.setSize(width, height);
    }
    Object.assign(camera, { left: -left / scale, right: (width - left) / scale, top: top / scale, bottom: (top - height) / scale });
    camera.updateProjectionMatrix();
    renderer.render(this.scene, camera);
  }
}
