// Shows /openapi.json as a page. Everything on it comes from the document, and every text is set as text.
"use strict";

const VERBS = ["get", "post", "put", "patch", "delete", "head"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function resolve(spec, part) {
  if (!part || !part.$ref) return part;
  return part.$ref.slice(2).split("/").reduce((found, key) => found[key], spec);
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return element("a", { href: `#schema-${name}` }, name);
  }
  if (schema.type === "array") return element("span", {}, "array of ", typeOf(schema.items));
  if (schema.type === "object" && schema.additionalProperties) return element("span", {}, "map of ", typeOf(schema.additionalProperties));
  return [schema.type, schema.format].filter(Boolean).join(" ") || "any";
}

// Paragraphs, lists with dashes, and `code`: all that the contract's comments use.
function prose(text) {
  const box = element("div");
  for (const paragraph of (text || "").split("\n\n")) {
    const lines = paragraph.split("\n");
    const items = lines.filter((line) => line.startsWith("- "));
    const plain = lines.filter((line) => !line.startsWith("- ")).join(" ").trim();
    if (plain) box.append(element("p", {}, ...inline(plain)));
    if (items.length) box.append(element("ul", {}, ...items.map((line) => element("li", {}, ...inline(line.slice(2))))));
  }
  return box;
}

function inline(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function table(head, rows) {
  if (!rows.length) return null;
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))))),
  );
}

function fields(schema) {
  const required = new Set(schema.required || []);
  return table(
    ["Field", "Type", "Meaning"],
    Object.entries(schema.properties || {}).map(([name, field]) => [
      element("span", {}, element("code", {}, name), marks({ required: required.has(name), "read only": field.readOnly })),
      typeOf(field),
      prose(field.description),
    ]),
  );
}

function marks(flags) {
  const text = Object.keys(flags).filter((flag) => flags[flag]).join(", ");
  return text ? element("span", { class: "mark" }, ` ${text}`) : null;
}

function parameters(spec, operation) {
  return table(
    ["Parameter", "Type", "Meaning"],
    (operation.parameters || []).map((given) => resolve(spec, given)).map((one) => [
      element("span", {}, element("code", {}, one.name), marks({ [one.in]: true, required: one.required })),
      typeOf(one.schema),
      prose(one.description),
    ]),
  );
}

function bodyOf(content) {
  const [media, shown] = Object.entries(content || {})[0] || [];
  if (!media) return null;
  const inner = shown.schema && shown.schema.properties ? fields(shown.schema) : null;
  return element("div", {}, element("p", {}, element("code", {}, media), " ", inner ? "" : typeOf(shown.schema)), inner);
}

function answers(spec, operation) {
  const rows = Object.entries(operation.responses).map(([status, given]) => {
    const response = resolve(spec, given);
    return [element("code", {}, status), status.startsWith("2") ? bodyOf(response.content) : prose(response.description)];
  });
  return table(["Status", "Answer"], rows);
}

function operation(spec, verb, path, one) {
  return element(
    "section",
    { id: one.operationId, "data-text": `${one.summary} ${path} ${one.description}`.toLowerCase() },
    element("h3", {}, one.summary),
    element("div", { class: "route" }, element("span", { class: "verb" }, verb.toUpperCase()), element("code", {}, path)),
    prose(one.description),
    parameters(spec, one),
    one.requestBody ? element("h4", {}, "Body") : null,
    one.requestBody ? bodyOf(one.requestBody.content) : null,
    element("h4", {}, "Answers"),
    answers(spec, one),
  );
}

function schemaSection(name, schema) {
  return element("section", { id: `schema-${name}` }, element("h3", {}, name), prose(schema.description), fields(schema));
}

function reasonSections(spec) {
  const reasons = spec.components.schemas.Problem.properties.code["x-kith-reasons"] || {};
  return Object.entries(reasons).map(([code, text]) => element("section", { id: code }, element("h3", {}, element("code", {}, code)), prose(text)));
}

function operationsByTag(spec) {
  const found = new Map(spec.tags.map((tag) => [tag.name, []]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const verb of VERBS) if (item[verb]) found.get(item[verb].tags[0]).push([verb, path, item[verb]]);
  }
  return found;
}

function show(spec) {
  const index = document.getElementById("index");
  const content = document.getElementById("content");
  const page = [element("h1", {}, `${spec.info.title} ${spec.info.version}`), prose(spec.info.description)];
  for (const tag of spec.tags) {
    const list = operationsByTag(spec).get(tag.name);
    page.push(element("h2", {}, tag.name), prose(tag.description));
    page.push(...list.map(([verb, path, one]) => operation(spec, verb, path, one)));
    const links = list.map(([, , one]) => element("li", { "data-for": one.operationId }, element("a", { href: `#${one.operationId}` }, one.summary)));
    index.append(element("h2", {}, tag.name), element("ul", {}, ...links));
  }
  page.push(element("h2", { id: "reasons" }, "Reasons of problems"), ...reasonSections(spec));
  page.push(element("h2", { id: "schemas" }, "Schemas"), ...Object.entries(spec.components.schemas).map(([name, one]) => schemaSection(name, one)));
  index.append(element("h2", {}, "More"), element("ul", {}, ...["reasons", "schemas"].map((id) => element("li", {}, element("a", { href: `#${id}` }, id)))));
  content.replaceChildren(...page);
  content.setAttribute("aria-busy", "false");
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function filter(text) {
  for (const item of document.querySelectorAll("[data-for]")) {
    const section = document.getElementById(item.dataset.for);
    item.hidden = section.hidden = !section.dataset.text.includes(text.toLowerCase());
  }
}

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch(() => document.getElementById("content").replaceChildren(element("p", {}, "The contract could not be loaded; reload the page.")));
