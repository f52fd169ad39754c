/*
 * Trained models for others: a Hugging Face directory that AutoModelForSequenceClassification and AutoTokenizer load.
 */
#ifndef MODELS_EXPORT_H
#define MODELS_EXPORT_H

#include "models/model.h"
#include "models/source.h"

/* Writes config.json (the source's own, with this head, labels and dtype), model.safetensors (every parameter but added
 * ones: fold first) and the tokenizer files of the source into dir, which is made when missing. `labels` [num_labels]
 * are names in id order, NULL for LABEL_0, ...; a model of one label is a regression. Other poolings than the model's
 * own pooler are an error: no Hugging Face class computes them. */
bool export_hf(const struct model *m, const struct model_source *source, const char *const *labels, const char *dir,
               struct arena *a, struct err *e);

#endif
