// SPDX-License-Identifier: MIT
// Runs a statement that must throw one class of error whose message holds every one of the words given.
#pragma once

#include <midtread/core/error.hpp>

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

template <class Expected, class Body>
void expect_error(const Body& body, std::initializer_list<std::string> words) {
  try {
    body();
  } catch (const Expected& error) {
    for (const std::string& word : words)
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos)
          << "no '" << word << "' in: " << error.what();
    return;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return;
  }
  ADD_FAILURE() << "no error";
}
