from training_data_generator_compat import TrainingDataGenerator, TrainingPair

generator = TrainingDataGenerator(None, "workspace", embedding_model="m")
generator.max_pairs_per_query = 3
pairs = generator.generate_positive_pairs(generator.get_feedback_data(days_back=30))
pairs.append(TrainingPair("q", "d", 1.0))
print([pair.document for pair in pairs])
result = generator.generate_training_data(days_back=30, output_path="out")
if not result["success"]:
    raise SystemExit(result.get("error"))
