//! The document: its operations, and whether a value is as a schema of it says. A few words of JSON
//! Schema are all it uses; one that is not known here fails the test, so that none goes unheeded.

use serde_json::Value;

/// `conf/openapi.json`.
pub struct Document(Value);

/// One of its operations.
pub struct Operation<'a> {
    pub method: &'static str,
    pub path: &'a str,
    pub described: &'a Value,
}

impl Operation<'_> {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Document {
    pub fn read() -> Self {
        Self(serde_json::from_str(include_str!("../../conf/openapi.json")).unwrap())
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let mut found = Vec::new();
        for (path, item) in self.0["paths"].as_object().unwrap() {
            for (method, described) in item.as_object().unwrap() {
                let method = match method.as_str() {
                    "get" => "GET",
                    "post" => "POST",
                    other => panic!("{path}: {other} is not known here"),
                };
                found.push(Operation {
                    method,
                    path,
                    described,
                });
            }
        }
        found
    }

    /// The schema a reference names.
    pub fn named(&self, reference: &Value) -> &Value {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        self.0.pointer(pointer).unwrap()
    }

    /// Whether a value is as its schema says; the first thing that is not.
    pub fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let Some(rules) = schema.as_object() else {
            return Ok(());
        };
        for (rule, says) in rules {
            let holds = match rule.as_str() {
                "$ref" => {
                    self.check(self.named(says), value)?;
                    true
                }
                "properties" | "items" => {
                    self.check_parts(rule, says, value)?;
                    true
                }
                "additionalProperties" => {
                    assert_eq!(says, &Value::Bool(false), "not known here: {schema}");
                    let known = &schema["properties"];
                    let mut keys = value.as_object().into_iter().flat_map(|it| it.keys());
                    keys.all(|key| known.get(key).is_some())
                }
                "anyOf" => self.hold(says, value) > 0,
                "oneOf" => self.hold(says, value) == 1,
                _ => holds(rule, says, value),
            };
            if !holds {
                return Err(format!("{value} is against {rule}: {says}"));
            }
        }
        Ok(())
    }

    fn check_parts(&self, rule: &str, says: &Value, value: &Value) -> Result<(), String> {
        if rule == "items" {
            let mut items = value.as_array().into_iter().flatten();
            return items.try_for_each(|item| self.check(says, item));
        }
        for (key, schema) in says.as_object().unwrap() {
            if let Some(part) = value.get(key) {
                self.check(schema, part)
                    .map_err(|error| format!("{key}: {error}"))?;
            }
        }
        Ok(())
    }

    fn hold(&self, schemas: &Value, value: &Value) -> usize {
        let schemas = schemas.as_array().unwrap().iter();
        let holding = schemas.filter(|schema| self.check(schema, value).is_ok());
        holding.count()
    }
}

/// Whether a rule that names no other schema holds.
fn holds(rule: &str, says: &Value, value: &Value) -> bool {
    let number = value.as_f64();
    match rule {
        "description" | "default" => true,
        "const" => value == says,
        "enum" => says.as_array().unwrap().contains(value),
        "type" if says.is_array() => {
            let mut types = says.as_array().unwrap().iter();
            types.any(|says| is_of(says, value))
        }
        "type" => is_of(says, value),
        "required" => {
            let mut keys = says.as_array().unwrap().iter();
            !value.is_object() || keys.all(|key| value.get(key.as_str().unwrap()).is_some())
        }
        "minimum" => number.is_none_or(|number| number >= says.as_f64().unwrap()),
        "maximum" => number.is_none_or(|number| number <= says.as_f64().unwrap()),
        "format" => match says.as_str().unwrap() {
            _ if !value.is_number() => true,
            "int64" => value.is_i64(),
            "uint64" | "uint32" | "uint16" | "uint8" | "uint" => value.is_u64(),
            "double" => true,
            other => panic!("the format {other} is not known here"),
        },
        other => panic!("{other} is not known here"),
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known here"),
    }
}

#[test]
fn what_is_against_the_document_is_found() {
    let document = Document::read();
    let problem = serde_json::json!({"$ref": "#/components/schemas/Problem"});
    let told = |status: Value| {
        let value = serde_json::json!({"type": "t", "title": "t", "status": status, "detail": ""});
        document.check(&problem, &value)
    };
    assert_eq!(told(400.into()), Ok(()));
    for wrong in [Value::Null, (-1).into(), 70_000.into(), "400".into()] {
        assert!(told(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(document.check(&problem, &serde_json::json!({})).is_err());
}
