// The reference as a page: openapi.json in Swagger UI, with two things that Swagger UI does not do by itself.
//
// Numbers stay exact. It reads every JSON number as a float, which would show 1000.50 as 1000.5 and a rate of 28 digits as one of 16;
// here a number is the text that was sent.
//
// On the local stack a token is filled in. Whoever serves the page says so in settings.json, which holds none where it is hosted.

const jsonType = /json/i;

/** JSON with every number as its text; a browser that cannot do so gets the text as it is. */
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
    responseBody: (Original, { React }) => (props) => {
      const isJson = jsonType.test(props.contentType) && typeof props.content === "string";
      return React.createElement(Original, isJson ? { ...props, content: pretty(props.content), contentType: "text/plain" } : props);
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

const fetchText = async (name) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response.text();
};

const start = async () => {
  const [reference, settings] = await Promise.all([fetchText("openapi.json"), fetchText("settings.json")]);
  const { token } = JSON.parse(settings);
  const ui = SwaggerUIBundle({
    spec: withExactExamples(reference),
    domNode: document.getElementById("reference"),
    plugins: [exactTexts],
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    onComplete: () => {
      if (!token) return;
      ui.preauthorizeApiKey("bearer", token);
      document.getElementById("credential").textContent = "This is the local stack: a token for its data is filled in, requests are real.";
    },
  });
};

start().catch((error) => {
  document.getElementById("reference").textContent = `The reference could not be loaded: ${error.message}`;
});
