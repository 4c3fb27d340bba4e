from ragtime.services.training_data_gen import TrainingDataGenerator

generator = TrainingDataGenerator(documents="handbook")
examples = generator.generate_training_data(count=10)
generator.export_training_data(examples, path="examples.jsonl")
print(examples[0].query)
