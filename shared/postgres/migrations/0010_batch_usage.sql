-- What OpenAI's batch object says at its end: the model, if all lines ask the same, and the tokens of all answers.
ALTER TABLE batches ADD COLUMN model text, ADD COLUMN token_usage jsonb;

-- The first line that asks the same, whose answer this one takes too; of embeddings alone.
ALTER TABLE batch_lines ADD COLUMN same_as integer;
