"use strict";
// Shows the OpenAPI document that this gateway serves, and sends what is tried to it. No library, nothing from elsewhere.

const DOCUMENT = "/api/openapi.json";
const METHODS = ["get", "post", "patch", "delete"];

/** An element with attributes and children; texts are never read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** A text with `code` and **strong** parts, a paragraph for each that is set apart. */
function prose(text) {
  const inline = (part) =>
    part.split(/(`[^`]*`|\*\*[^*]*\*\*)/).map((piece) => {
      if (piece.startsWith("`")) return element("code", {}, piece.slice(1, -1));
      if (piece.startsWith("**")) return element("strong", {}, piece.slice(2, -2));
      return piece;
    });
  return text.split("\n\n").map((paragraph) => element("p", {}, ...inline(paragraph)));
}

class Page {
  constructor(api) {
    this.api = api;
  }

  /** What a `$ref` stands for. */
  resolve(value) {
    if (!value || !value.$ref) return value;
    return value.$ref.slice(2).split("/").reduce((found, key) => found[key.replaceAll("~1", "/")], this.api);
  }

  operations() {
    return Object.entries(this.api.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
  }

  show() {
    document.getElementById("introduction").append(...prose(this.api.info.description));
    const contents = document.getElementById("contents");
    const sections = document.getElementById("operations");
    for (const tag of this.api.tags) {
      const own = this.operations().filter((operation) => operation.tags.includes(tag.name));
      if (own.length === 0) continue;
      const list = own.map((operation) =>
        element("li", {}, element("a", { href: `#${operation.operationId}` }, operation.summary)));
      contents.append(element("details", {}, element("summary", {}, tag.name), element("div", {}, element("ul", {}, ...list))));
      sections.append(element("h2", { id: tag.name.toLowerCase() }, tag.name), ...prose(tag.description));
      sections.append(...own.map((operation) => this.operation(operation)));
    }
    document.getElementById("filter").addEventListener("input", (event) => this.filter(event.target.value));
    document.getElementById("access").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => this.open());
    this.open();
    document.getElementById("status").textContent = "";
  }

  /** Opens the operation that the address names. */
  open() {
    const named = document.getElementById(location.hash.slice(1));
    if (named instanceof HTMLDetailsElement) {
      named.open = true;
      named.querySelector("summary").focus();
    }
  }

  filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    for (const shown of document.querySelectorAll("#operations > details")) {
      const content = `${shown.id} ${shown.textContent}`.toLowerCase();
      shown.hidden = !words.every((word) => content.includes(word));
    }
  }

  operation(operation) {
    const { path, method, summary, description, operationId, security } = operation;
    const parameters = (operation.parameters || []).map((parameter) => this.resolve(parameter));
    const scopes = security.flatMap((needed) => Object.values(needed).flat());
    const details = element("details", { id: operationId },
      element("summary", {},
        element("span", { class: `method ${method}` }, method.toUpperCase()), element("code", {}, path), element("span", {}, summary)));
    const content = element("div");
    // Most are never opened.
    details.addEventListener("toggle", () => {
      if (!details.open || content.hasChildNodes()) return;
      content.append(
        ...prose(description || ""),
        element("p", { class: "dim" }, scopes.length ? `Needs a key with the scope ${scopes.join(", ")}.` : "Needs no key."),
        this.parameterTable(parameters), this.body(operation), this.responses(operation.responses), this.trial(operation, parameters));
    });
    details.append(content);
    return details;
  }

  parameterTable(parameters) {
    const rows = parameters.map((parameter) => element("tr", {},
      element("td", {}, element("code", {}, parameter.name)), element("td", {}, parameter.in + (parameter.required ? ", required" : "")),
      element("td", {}, ...prose(parameter.description || ""), this.type(parameter.schema))));
    const head = element("tr", {}, ...["Name", "In", "Meaning"].map((title) => element("th", { scope: "col" }, title)));
    return element("div", {}, element("h4", {}, "Parameters"),
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  /** A schema in a few words. */
  type(schema) {
    const found = this.resolve(schema) || {};
    const words = [[found.type].flat().filter(Boolean).join(" or "), found.format, found.enum && found.enum.join(" | "),
      found.default !== undefined && `default ${found.default}`, found.maximum !== undefined && `at most ${found.maximum}`];
    return element("span", { class: "dim" }, words.filter(Boolean).join(", "));
  }

  example(content) {
    const example = content.examples && Object.values(content.examples)[0];
    if (!example) return null;
    return typeof example.value === "string" ? example.value : JSON.stringify(example.value, null, 2);
  }

  /** What a type looks like, with the types that it is made of. */
  schema(schema) {
    const shown = {};
    const collect = (value) => {
      if (!value || typeof value !== "object") return;
      const name = typeof value.$ref === "string" && value.$ref.split("/").pop();
      if (name && !(name in shown)) {
        shown[name] = this.resolve(value);
        collect(shown[name]);
      }
      Object.values(value).forEach(collect);
    };
    collect(schema);
    return element("details", {}, element("summary", {}, "Schema"),
      element("div", {}, element("pre", {}, JSON.stringify(Object.keys(shown).length ? shown : schema, null, 2))));
  }

  body(operation) {
    const content = operation.requestBody && operation.requestBody.content["application/json"];
    if (!content) return undefined;
    return element("div", {}, element("h4", {}, "Body"), element("pre", {}, this.example(content)), this.schema(content.schema));
  }

  responses(responses) {
    const shown = Object.entries(responses).map(([status, reference]) => {
      const response = this.resolve(reference);
      const contents = Object.entries(response.content || {});
      const examples = contents.flatMap(([media, content]) => {
        const all = Object.values(content.examples || {}).map((example) =>
          element("pre", {}, typeof example.value === "string" ? example.value : JSON.stringify(example.value, null, 2)));
        return [element("p", { class: "dim" }, media), ...all, this.schema(content.schema)];
      });
      const headers = Object.keys(response.headers || {}).join(", ");
      return element("details", {},
        element("summary", {}, element("strong", {}, status), element("span", {}, response.description.split("\n")[0].replaceAll(/[`*]/g, ""))),
        element("div", {}, ...prose(response.description), headers ? element("p", { class: "dim" }, `Headers: ${headers}`) : undefined, ...examples));
    });
    return element("div", {}, element("h4", {}, "Responses"), ...shown);
  }

  /** A form that sends the request to this gateway. */
  trial(operation, parameters) {
    const id = (name) => `${operation.operationId}-${name}`;
    const fields = parameters.map((parameter) => {
      const schema = this.resolve(parameter.schema) || {};
      const input = schema.enum
        ? element("select", { id: id(parameter.name), name: parameter.name },
          ...[...(parameter.required ? [] : [""]), ...schema.enum].map((value) => element("option", { value }, value)))
        : element("input", { id: id(parameter.name), name: parameter.name, required: parameter.required, spellcheck: "false", autocomplete: "off" });
      return element("label", { for: id(parameter.name) }, parameter.name, input);
    });
    const json = operation.requestBody && operation.requestBody.content["application/json"];
    const body = json && element("textarea", { id: id("body"), name: "body", spellcheck: "false" }, this.example(json));
    const output = element("div", { "aria-live": "polite" });
    const media = Object.keys((this.resolve(operation.responses["200"]) || {}).content || {});
    const accept = media.length < 2 ? undefined : element("select", { id: id("accept"), name: " accept" },
      ...media.map((type) => element("option", { value: type }, type)));
    const stop = element("button", { type: "button", hidden: true }, "Stop");
    const send = async (event) => {
      event.preventDefault();
      const abort = new AbortController();
      stop.onclick = () => abort.abort();
      stop.hidden = false;
      try {
        await this.send(operation, parameters, new FormData(event.target), output, abort.signal);
      } catch (error) {
        output.append(element("p", {}, abort.signal.aborted ? "Stopped." : `No answer: ${error.message}`));
      }
      stop.hidden = true;
    };
    return element("div", {}, element("h4", {}, "Try it"),
      element("form", { onsubmit: send }, ...fields,
        accept ? element("label", { for: id("accept") }, "Answer as", accept) : undefined, body ? element("label", { for: id("body") }, "Body", body) : undefined,
        element("p", {}, element("button", { type: "submit" }, "Send"), " ", stop)),
      output);
  }

  async send(operation, parameters, form, output, signal) {
    let path = operation.path;
    const query = new URLSearchParams();
    const headers = { accept: form.get(" accept") || "*/*" };
    const key = document.getElementById("key").value.trim();
    if (key) headers.authorization = `Bearer ${key}`;
    for (const parameter of parameters) {
      const value = form.get(parameter.name).trim();
      if (value === "") continue;
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (parameter.in === "query") query.set(parameter.name, value);
      else headers[parameter.name] = value;
    }
    const request = { method: operation.method.toUpperCase(), headers, signal, cache: "no-store" };
    if (form.has("body")) {
      headers["content-type"] = "application/json";
      request.body = form.get("body");
    }
    const address = query.size ? `${path}?${query}` : path;
    output.replaceChildren(element("p", {}, "Sending …"));
    const response = await fetch(address, request);
    const shown = element("pre", { tabindex: "0" });
    const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    output.replaceChildren(
      element("p", {}, element("strong", { class: "answer-status" }, String(response.status)), ` ${request.method} ${address}`),
      element("pre", {}, lines), shown);
    if (!response.body) return;
    // As it arrives: a stream has no end.
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      shown.textContent = text;
    }
    try {
      shown.textContent = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Text, or nothing.
    }
  }
}

fetch(DOCUMENT)
  .then((response) => response.json())
  .then((api) => new Page(api).show())
  .catch((error) => {
    document.getElementById("status").textContent = `The document can't be shown: ${error.message}`;
  });
