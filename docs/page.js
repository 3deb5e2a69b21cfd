// The reference as a page: openapi.json in Swagger UI, with what Swagger UI does not do by itself.
//
// Numbers stay exact. It reads every JSON number as a float, which would show 1000.50 as 1000.5 and a rate of 28 digits as one of 16;
// here a number is the text that was sent. (A browser without JSON.rawJSON shows answers as they came, and examples as floats.)
//
// Requests go where settings.json says, and nowhere without it: a token that is entered here must not reach whoever hosts the page.
//   api      the API's URL; "/" where the page is behind the API's own domain
//   token    a credential to start with; only the local stack gives one
//   isDemo   whether the ids of the examples are there

const isJson = (props) => /json/i.test(props.contentType) && typeof props.content === "string";

/** JSON with every number as its text. */
const pretty = (text) => {
  if (typeof JSON.rawJSON !== "function") return text;
  try {
    const exact = (_, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value);
    return JSON.stringify(JSON.parse(text, exact), null, 2);
  } catch {
    return text;
  }
};

/** Answers, and examples that are texts, are shown as they are. */
const exactTexts = () => ({
  afterLoad() {
    const { getSampleSchema } = this.fn;
    this.fn.getSampleSchema = (schema, contentType, config, example) =>
      typeof example === "string" ? example : getSampleSchema(schema, contentType, config, example);
  },
  wrapComponents: {
    responseBody: (Original, { React: { createElement }, getComponent }) => (props) => {
      if (!isJson(props)) return createElement(Original, props);
      const code = { language: "json", downloadable: true, canCopy: true, fileName: "answer.json" };
      const text = createElement(getComponent("HighlightCode", true), code, pretty(props.content));
      return createElement("div", null, createElement("h5", null, "Response body"), text);
    },
  },
});

/** The document, its examples turned into the texts that were answered. */
const withExactExamples = (text) => {
  const collect = (_, value, { source }) => {
    if (typeof value === "number") return JSON.rawJSON(source);
    const isExample = value && typeof value === "object" && "summary" in value && "value" in value;
    return isExample && typeof value.value === "object" ? { ...value, value: JSON.stringify(value.value, null, 2) } : value;
  };
  return typeof JSON.rawJSON === "function" ? JSON.parse(JSON.stringify(JSON.parse(text, collect))) : JSON.parse(text);
};

/** Forms are filled in with ids that are there. */
const withoutExampleIds = (reference) => {
  const operations = Object.values(reference.paths).flatMap((path) => Object.values(path));
  for (const parameter of operations.flatMap((operation) => operation.parameters)) delete parameter.example;
};

const fetchText = async (name) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response.text();
};

const say = (text) => (document.getElementById("credential").textContent = text);

const start = async () => {
  const [text, settings] = await Promise.all([fetchText("openapi.json"), fetchText("settings.json")]);
  const { api, token, isDemo } = JSON.parse(settings);
  const reference = withExactExamples(text);
  reference.servers = api ? [{ url: api }] : [];
  if (!isDemo) withoutExampleIds(reference);
  const ui = SwaggerUIBundle({
    spec: reference,
    domNode: document.getElementById("reference"),
    plugins: [exactTexts],
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    supportedSubmitMethods: api ? ["get", "post"] : [],
    tryItOutEnabled: Boolean(api),
    validatorUrl: null,
    onComplete: () => {
      if (token) ui.preauthorizeApiKey("bearer", token);
      if (token) say(`This is the local stack: a token for its data is filled in${isDemo ? "" : ", ids are yours to enter"}; requests are real.`);
      else if (api) say("Requests are real and need a credential: enter one under “Authorize”.");
    },
  });
};

start().catch((error) => {
  document.getElementById("reference").textContent = `The reference could not be loaded: ${error.message}`;
});
