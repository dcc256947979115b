// Runs the graph beside the page, so that a stroke never waits for an answer.

let ort, session;

const DO = {
  async start({script, wasm, model}) {
    const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
    ort = await import(url);
    URL.revokeObjectURL(url);
    ort.env.logLevel = "error";
    // Threads need headers that a file has not; the kernels come from the page itself.
    Object.assign(ort.env.wasm, {numThreads: 1, proxy: false, wasmBinary: wasm});
    session = await ort.InferenceSession.create(model, {executionProviders: ["wasm"]});
    return {outputs: session.outputNames};
  },
  async run({feeds, fetches}) {
    const given = {};
    for (const [name, {type, data, shape}] of Object.entries(feeds)) {
      given[name] = new ort.Tensor(type, data, shape);
    }
    const started = performance.now(), found = await session.run(given, fetches);
    const outputs = {};
    for (const [name, tensor] of Object.entries(found)) {
      outputs[name] = {data: tensor.data, shape: tensor.dims};
      tensor.dispose();
    }
    for (const tensor of Object.values(given)) tensor.dispose();
    return {outputs, took: performance.now() - started};
  },
};

self.onmessage = async ({data}) => {
  try {
    self.postMessage({id: data.id, found: await DO[data.what](data)});
  } catch (error) {
    self.postMessage({id: data.id, error: String(error?.message ?? error)});
  }
};
