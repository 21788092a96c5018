// Draws the AsyncAPI document: events by producer, with their fields and who receives them.
function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items || {})}`;
  return [schema.type, schema.format].filter(Boolean).join(", ") || "any";
}

function draw(api) {
  const catalogue = document.getElementById("catalogue");
  const parties = {};
  for (const operation of Object.values(api.operations)) {
    const key = operation.channel.$ref.split("/").pop();
    parties[key] = parties[key] || { receivers: [] };
    if (operation.action === "send") parties[key].sender = operation.title;
    else parties[key].receivers.push(operation.title);
  }
  const sections = {};
  for (const [key, message] of Object.entries(api.components.messages)) {
    const { sender, receivers } = parties[key];
    if (!sections[sender]) {
      sections[sender] = element("section");
      sections[sender].append(element("h2", sender));
    }
    const article = element("article");
    article.id = message.name;
    article.append(element("h3", message.name));
    if (message.summary) article.append(element("p", message.summary));
    article.append(element("small", receivers.length ? `received by ${receivers.join(", ")}` : "nobody acts on it yet"));
    const schema = api.components.schemas[message.title];
    const table = element("table");
    for (const [field, its] of Object.entries(schema.properties || {})) {
      const row = table.insertRow();
      row.append(element("td", field), element("td", typeOf(its)));
      row.append(element("td", (schema.required || []).includes(field) ? "" : "optional"));
    }
    article.append(table);
    sections[sender].append(article);
  }
  for (const sender of Object.keys(sections).sort()) catalogue.append(sections[sender]);
}

fetch("/events/asyncapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch((error) => document.getElementById("catalogue").append(element("p", `The catalogue cannot be read: ${error}`)));
